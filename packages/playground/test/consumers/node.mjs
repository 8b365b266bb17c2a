import { Evermoon, LuaError } from 'evermoon';
import { Evermoon as Inline } from 'evermoon/inline';
import { Evermoon as InlineWorld } from 'evermoon/inline-world';
import { Evermoon as Workers } from 'evermoon/worker';
import { io, os } from 'evermoon/libs';
import { show, showBoth, showWorker } from './show.js';

const results = [
  await show(Evermoon, LuaError),
  await show(Inline, LuaError),
  await showWorker(Workers, LuaError),
  await show(Evermoon, LuaError, { libs: [os(), io()] }),
  await showBoth(Evermoon, LuaError),
  await showBoth(InlineWorld, LuaError),
];
console.log(results.map((r) => JSON.stringify(r)).join('\n'));
