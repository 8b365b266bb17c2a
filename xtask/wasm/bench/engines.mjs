// The engines that are compared, behind one small interface. Works in Node and in a page; knows no files.
//
// An engine: { name, fresh() } where fresh() gives a state: { run(source) -> output, add -> a Lua function called from here, define(f),
// eval(source) -> first value, set(name, value), close() }. A state is new for each run, so that no run profits from another's heap.

/** Output is collected by Lua itself, the same way in all engines, so that no engine pays for its way to the host. */
const PRELUDE = `
local lines, tostring, concat = {}, tostring, table.concat
function print(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]) end
  lines[#lines + 1] = concat(t, "\\t")
end
function written() return concat(lines, "\\n") end
`;

export function evermoon({ Evermoon }, wasm, name = 'evermoon') {
  return {
    name,
    fresh() {
      const lua = Evermoon.createSync({ wasm });
      lua.runSync(PRELUDE);
      return {
        run(source) {
          lua.runSync(source);
        },
        output: () => lua.runSync('return written()')[0],
        eval: (source) => lua.runSync(source)[0],
        function: (source) => {
          const f = lua.runSync(source)[0];
          return (a, b) => f.invoke(a, b);
        },
        set: (key, value) => lua.set(key, value),
        get: (key) => lua.get(key),
        stats: () => lua.stats(),
        close: () => lua.dispose(),
      };
    },
  };
}

/** The factory's module must be there already, for engines to be made at once: see `loadWasmoon`. */
export function wasmoon({ factory, LuaEngine, module }) {
  return {
    name: 'wasmoon',
    fresh() {
      const lua = new LuaEngine(module, { openStandardLibs: true, injectObjects: false, enableProxy: true, traceAllocations: false });
      lua.doStringSync(PRELUDE);
      return {
        run(source) {
          lua.doStringSync(source);
        },
        output: () => lua.doStringSync('return written()'),
        eval: (source) => lua.doStringSync(source),
        function: (source) => lua.doStringSync(source),
        set: (key, value) => lua.global.set(key, value),
        get: (key) => lua.global.get(key),
        close: () => lua.global.close(),
      };
    },
    factory,
  };
}

export async function loadWasmoon({ LuaFactory, LuaEngine }, uri) {
  const factory = new LuaFactory(uri);
  const module = await factory.getLuaModule();
  return wasmoon({ factory, LuaEngine, module });
}

export function fengari({ lua, lauxlib, lualib, to_luastring, to_jsstring }) {
  return {
    name: 'fengari',
    fresh() {
      const L = lauxlib.luaL_newstate();
      lualib.luaL_openlibs(L);
      const run = (source, results) => {
        const bytes = to_luastring(source);
        if (lauxlib.luaL_loadbuffer(L, bytes, bytes.length, to_luastring('=program')) !== lua.LUA_OK || lua.lua_pcall(L, 0, results, 0) !== lua.LUA_OK) {
          throw new Error(to_jsstring(lua.lua_tostring(L, -1)));
        }
      };
      run(PRELUDE, 0);
      return {
        run: (source) => run(source, 0),
        output() {
          run('return written()', 1);
          return to_jsstring(lua.lua_tostring(L, -1));
        },
        eval(source) {
          run(source, 1);
          return lua.lua_tonumber(L, -1);
        },
        function(source) {
          run(source, 1);
          const reference = lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX);
          return (a, b) => {
            lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, reference);
            lua.lua_pushnumber(L, a);
            lua.lua_pushnumber(L, b);
            lua.lua_call(L, 2, 1);
            const result = lua.lua_tonumber(L, -1);
            lua.lua_pop(L, 1);
            return result;
          };
        },
        set(key, value) {
          if (typeof value === 'function') {
            lua.lua_pushcfunction(L, (l) => {
              lua.lua_pushnumber(l, value(lua.lua_tonumber(l, 1), lua.lua_tonumber(l, 2)));
              return 1;
            });
          } else lua.lua_pushstring(L, to_luastring(value));
          lua.lua_setglobal(L, to_luastring(key));
        },
        get(key) {
          lua.lua_getglobal(L, to_luastring(key));
          const text = to_jsstring(lua.lua_tostring(L, -1));
          lua.lua_pop(L, 1);
          return text;
        },
        close() {},
      };
    },
  };
}

/** Runs a program in a fresh state; milliseconds by `clock`, and what it printed. */
export function timed(engine, source, clock) {
  const state = engine.fresh();
  const start = clock();
  state.run(source);
  const time = clock() - start;
  const output = state.output();
  state.close();
  return { time, output };
}

/** Best of several rounds of `n` calls, in microseconds a call. */
function perCall(n, rounds, clock, body) {
  let best = Infinity;
  for (let i = 0; i < rounds; i++) {
    const start = clock();
    body(n);
    best = Math.min(best, ((clock() - start) * 1000) / n);
  }
  return best;
}

/** 10 MB in UTF-8: of one byte a character, and of more. Lua's side and the bare copies are given the same. */
const TEXTS = () => ['x'.repeat(10 << 20), 'Käse, 月 and moonlight; '.repeat(((10 << 20) / 27) | 0)];
/** The shortest of so many is what is printed. */
const COPIES = 20;

/**
 * Milliseconds that a long string takes in and out, for each of the texts. `between` is done untimed, so that nobody's garbage is paid for by the
 * next. What comes out is kept until then: nothing can be left undone because nobody looks.
 */
function strings(name, clock, into, outOf, between) {
  return TEXTS().map((text) => {
    let [to, from] = [Infinity, Infinity];
    for (let i = 0; i < COPIES; i++) {
      let start = clock();
      into(text);
      to = Math.min(to, clock() - start);
      start = clock();
      const back = outOf();
      from = Math.min(from, clock() - start);
      if (back.length !== text.length || back.slice(-30) !== text.slice(-30)) throw new Error(`${name}: the string came back with ${back.length} for ${text.length}`);
      between();
    }
    return { to, from };
  });
}

/**
 * Calls across the border and long strings. `whole` is a clock that counts the kernel's work for us too: it is the only one that is true for a
 * few milliseconds (the kernel splits a thread's time into its own and the user's by sampling), and fresh pages are a part of a copy.
 */
export function border(engine, clock, whole = clock) {
  const state = engine.fresh();
  const add = state.function('return function(a, b) return a + b end');
  const result = {};
  result.in = perCall(200000, 7, clock, (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += add(i, 1);
    if (sum !== (n * (n + 1)) / 2) throw new Error(`${engine.name}: wrong sum ${sum}`);
  });
  state.set('f', (a, b) => a + b);
  const loop = (body) => `local f, s = f, 0 for i = 1, 200000 do ${body} end return s`;
  const expected = (200000 * 200003) / 2;
  const both = perCall(200000, 7, clock, () => {
    const sum = state.eval(loop('s = s + f(i, 1)'));
    if (Number(sum) !== expected) throw new Error(`${engine.name}: wrong sum ${sum}`);
  });
  result.out = both - perCall(200000, 7, clock, () => state.eval(loop('s = s + i + 1')));
  const between = () => {
    state.set('text', 'none');
    state.eval('collectgarbage() return 0');
  };
  result.strings = strings(engine.name, whole, (text) => state.set('text', text), () => state.get('text'), between);
  state.close();
  return result;
}

/** What one copy of each text into bytes, and one back, takes here: the least that is possible. */
export function copies(whole) {
  const memory = new Uint8Array(12 << 20);
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-8', { ignoreBOM: true })];
  let size = 0;
  const into = (text) => (size = encoder.encodeInto(text, memory).written);
  return strings('one copy', whole, into, () => decoder.decode(memory.subarray(0, size)), () => {});
}
