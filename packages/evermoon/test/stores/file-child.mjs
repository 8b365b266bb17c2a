// A process of its own for file.test.mjs: commits until it is killed, or races with another.
import { FileStore } from '../../dist/stores/node.js';
import { b, id } from './conformance.mjs';

const [, , what, path, who, attempts] = process.argv;
const put = (key, value) => ({ kind: 'put', key, value: b(value) });

if (what === 'commit') {
  const store = await FileStore.open(path);
  const epoch = await store.lease();
  let { version } = await store.head();
  for (;;) {
    const next = version + 1;
    const durability = next % 4 === 0 ? 'relaxed' : 'durable';
    version = await store.commit(version, epoch, [put(id(next), `${next} `.repeat(next % 300)), put(b('version'), `${next}`)], { durability });
    process.stdout.write(`${version}\n`);
  }
} else {
  const acked = [];
  let busy = 0;
  for (let n = 0; n < Number(attempts); n++) {
    try {
      const store = await FileStore.open(path);
      try {
        const epoch = await store.lease();
        const { version } = await store.head();
        const text = `${who} ${n}`;
        acked.push([await store.commit(version, epoch, [put(id(version + 1), text)], { durability: 'relaxed' }), text]);
      } finally {
        await store.close();
      }
    } catch (error) {
      if (error.code !== 'busy') throw error;
      busy += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
    }
  }
  process.stdout.write(JSON.stringify({ acked, busy }));
}
