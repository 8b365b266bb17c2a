/** The module's interface (`docs/abi.md`) as types and numbers. No code of ours knows more about the module than this file. */

export const ABI_VERSION = 1;

/** The exports (those for worlds and jobs are in evermoon-world.wasm only). Engines, handles and tasks are numbers, never 0; addresses and lengths are in bytes. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  em_abi_version(): number;
  em_alloc(size: number): number;
  em_free(address: number, size: number): void;
  em_engine_new(memoryMax: number): number;
  em_engine_free(engine: number): number;
  em_close(engine: number): number;
  em_mailbox(engine: number): number;
  em_slots(engine: number, count: number): number;
  em_output_taken(engine: number): void;
  em_set_fuel(engine: number, fuel: number): void;
  em_fuel(engine: number): number;
  em_set_memory_max(engine: number, bytes: number): void;
  em_seed(engine: number, a: bigint, b: bigint): void;
  em_collect(engine: number): void;
  em_stat(engine: number, which: number): number;
  em_handle_free(engine: number, handle: number): number;
  em_handle_copy(engine: number, handle: number): number;
  em_handle_slot(engine: number, handle: number): number;
  em_same(engine: number, a: number, b: number): number;
  em_globals(engine: number): number;
  em_function_new(engine: number, number: number): number;
  em_interrupt(engine: number, message: number, length: number): number;
  em_table_new(engine: number, array: number, entries: number): number;
  em_string_new(engine: number, length: number): number;
  em_string_cut(engine: number, handle: number, length: number): number;
  em_string_bytes(engine: number, handle: number): number;
  em_object_metatable(engine: number, table: number): number;
  em_raw_get(engine: number, table: number): number;
  em_get(engine: number, table: number): number;
  em_raw_set(engine: number, table: number, count: number): number;
  em_raw_append(engine: number, table: number, position: number, count: number): number;
  em_raw_entries(engine: number, table: number, count: number): number;
  em_raw_len(engine: number, table: number): number;
  em_table_shape(engine: number, table: number): number;
  em_identity(engine: number, handle: number): number;
  em_has_metatable(engine: number, handle: number): number;
  em_metatable(engine: number, handle: number): number;
  em_load(engine: number, source: number, length: number, name: number, nameLength: number, mode: number): number;
  em_start(engine: number, fn: number, count: number): number;
  em_start_coroutine(engine: number, fn: number, count: number): number;
  em_run(engine: number, task: number, slices: number): number;
  em_call(engine: number, fn: number, count: number, slices: number): number;
  em_answer(engine: number, task: number, count: number, ok: number): number;
  em_answer_run(engine: number, task: number, count: number, ok: number, slices: number): number;
  em_drop(engine: number, task: number): void;
  em_world_supply(engine: number, address: number, length: number): number;
  em_world_open(engine: number, complete: number, residentMax: number): number;
  em_world_library(engine: number): number;
  em_world_wanted(engine: number): number;
  em_world_wanted_at(engine: number): number;
  em_world_touch(engine: number, handle: number): number;
  em_world_delta(engine: number): number;
  em_world_committed(engine: number): void;
  em_world_failed(engine: number): void;
  em_world_rollback(engine: number): number;
  em_world_evict(engine: number): void;
  em_world_stat(engine: number, which: number): number;
  em_world_permanent(engine: number, name: number, length: number, fn: number): number;
  em_world_tasks(engine: number): number;
  em_world_resume(engine: number, task: number): number;
  em_job_new(kind: number): number;
  em_job_free(job: number): void;
  em_job_supply(job: number, address: number, length: number): number;
  em_job_step(job: number): number;
  em_job_output(job: number): number;
  em_job_output_len(job: number): number;
  em_job_progress(job: number, which: number): number;
  em_job_garbage(job: number, engine: number, address: number, length: number): number;
}

/** What a call that runs came back for. */
export const enum Status { Done = 0, Error = 1, Slice = 2, OutOfFuel = 3, HostCall = 4, Misuse = 5, Memory = 6, Yielded = 7, Metamethod = 8, Fault = 16 }

/** Kinds of a slot. */
export const enum Kind {
  Nil = 0,
  False = 1,
  True = 2,
  Int = 3,
  Float = 4,
  String = 5,
  Handle = 6,
  HostObject = 7,
  Light = 8,
  HostFunction = 9,
}

/** What a handle holds. */
export const enum Holds { Table = 1, Function = 2, Thread = 3, Userdata = 4 }

/** Fields of the mailbox, in words of 4 bytes. */
export const enum Mail {
  Status = 0,
  Count = 1,
  Slots = 2,
  Task = 3,
  Function = 4,
  Output = 5,
  OutputLen = 6,
  Released = 7,
  ReleasedLen = 8,
  Message = 9,
  MessageLen = 10,
  Reports = 11,
  ReportsLen = 12,
}

export const enum Stat { HeapBytes = 0, HeapMax = 1, Collections = 2, FuelUsed = 3, Handles = 4, Tasks = 5, Refused = 7 }
