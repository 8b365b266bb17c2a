// Makes a module small and fast: node optimize.mjs IN OUT
//
// 1. Rust's panic machinery becomes `unreachable`: without imports there is nobody whom a message could reach, and what leads up to the calls (places,
//    lengths, format arguments) goes with it.
// 2. binaryen's optimiser.
// 3. No names, no producers.
import { readFileSync, writeFileSync } from 'node:fs';
import binaryen from 'binaryen';

const [input, output] = process.argv.slice(2);
const PANICS =
  /(core9panicking|core6option1[36](unwrap|expect)_failed|core6result13unwrap_failed|slice5index2\d?slice_|slice_\w*fail|str16slice_error_fail|cell2\d_?panic_|panic_already|handle_alloc_error|alloc_error|rust_panic|begin_panic|panic_fmt|panic_bounds_check|panic_const|expect_failed|unwrap_failed|capacity_overflow|raw_vec12handle_error|copy_from_slice16|len_mismatch_fail)/;

// What `{:?}` prints with `-Zfmt-debug=none`: nothing. The standard library, which was built without that, follows.
const DEBUG = /5Debug3fmt|Debug\$GT\$3fmt/;

const module = binaryen.readBinary(readFileSync(input));
let snipped = 0;
for (let i = 0; i < module.getNumFunctions(); i++) {
  const info = binaryen.getFunctionInfo(module.getFunctionByIndex(i));
  if (info.base === '' && DEBUG.test(info.name)) binaryen.Function.setBody(module.getFunctionByIndex(i), module.i32.const(0));
  if (info.base !== '' || !PANICS.test(info.name)) continue;
  binaryen.Function.setBody(module.getFunctionByIndex(i), module.unreachable());
  snipped++;
}
binaryen.setOptimizeLevel(Number(process.env.WASM_OPTIMIZE ?? 3));
binaryen.setShrinkLevel(Number(process.env.WASM_SHRINK ?? 1));
binaryen.setDebugInfo(process.env.WASM_NAMES === '1');
binaryen.setClosedWorld?.(true);
binaryen.setLowMemoryUnused(false);
// The loop with hooks stays out of the other one: what is called first is compiled first.
binaryen.setPassArgument('no-inline', '*run_traced*');
module.runPasses(['no-inline']);
module.optimize();
const bytes = module.emitBinary();
writeFileSync(output, bytes);
console.log(`${snipped} panics cut, ${bytes.length} bytes`);
