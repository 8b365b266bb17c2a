// What runs in the page (bundled by chromium.mjs): the engines, and one function that runs a program in one of them.
import * as package_ from 'evermoon';
import * as wasmoonModule from 'wasmoon';
import { border, evermoon, loadWasmoon, timed } from './engines.mjs';

const clock = () => performance.now();
const engines = {};
window.prepare = async (names) => {
  for (const name of names) {
    engines[name] =
      name === 'evermoon'
        ? evermoon(package_, await WebAssembly.compileStreaming(fetch('/evermoon.wasm')))
        : await loadWasmoon(wasmoonModule, '/glue.wasm');
  }
};
window.measure = (name, source) => timed(engines[name], source, clock);
window.border = (name) => border(engines[name], clock);
