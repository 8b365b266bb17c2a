// One program, once, in this fresh process: node first.mjs PLAN ENGINE PROGRAM. Prints milliseconds from the source to the end of the run.
import { readFileSync } from 'node:fs';
import { timed } from './engines.mjs';
import { cpu, load } from './load.mjs';

const [plan, name, program] = process.argv.slice(2);
const engine = await load(name, JSON.parse(plan));
console.log(JSON.stringify(timed(engine, readFileSync(program, 'utf8'), cpu)));
