// The page's world, as somebody lives it: it is there after a reload, after the browser was closed, and in another browser from its file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchProfile, serve } from './serve.mjs';

let server;
const folder = mkdtempSync(join(tmpdir(), 'evermoon-profile-'));
const contexts = [];
before(async () => {
  server = await serve({ '/': fileURLToPath(new URL('../dist', import.meta.url)) });
});
after(async () => {
  for (const context of contexts) await context.close().catch(() => {});
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function browserOf(name) {
  const context = await launchProfile(join(folder, name));
  contexts.push(context);
  return context;
}

async function visit(context) {
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  await page.goto(server.url);
  await ready(page);
  return page;
}
const ready = (page) => page.locator('#state[data-kind=ready]').waitFor();

/** Runs a line; what it gives. */
async function line(page, code) {
  const echoes = page.locator('#output .echo');
  const before = await echoes.count();
  await page.locator('#line').fill(code);
  await page.locator('#line').press('Enter');
  await echoes.nth(before).waitFor();
  await page.locator('#state:not([data-kind=running])').waitFor();
  await page.waitForFunction((n) => document.querySelectorAll('#output .echo').length > n, before);
  return page.evaluate(() => {
    const last = [...document.querySelectorAll('#output .echo')].at(-1).nextElementSibling;
    return last?.classList.contains('echo') ? '' : (last?.innerText ?? '');
  });
}

test('a world: defined, reloaded, the browser closed, exported, started over, imported', async () => {
  let context = await browserOf('one');
  let page = await visit(context);
  await line(page, 'names = { "Ada", "Lua", n = 2 }');
  await line(page, 'do local n = 0 function count() n = n + 1 return n end end');
  await line(page, '_home.users = ext.table() for i = 1, 250 do _home.users[i] = { n = i } end');
  await line(page, 'co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield("step " .. i) end end)');
  assert.equal(await line(page, 'count()'), '1');
  assert.match(await line(page, 'co()'), /step 1/);
  await page.locator('#kept', { hasText: 'World kept' }).waitFor();

  await page.reload();
  await ready(page);
  assert.equal(await line(page, 'count()'), '2');
  assert.match(await line(page, 'co()'), /step 2/);
  assert.match(await line(page, 'names[2], #names, names.n'), /Lua[^]*2[^]*2/);
  // What fails keeps what it had done.
  await line(page, 'names[3] = "new" error("no")');
  await context.close();

  context = await browserOf('one');
  page = await visit(context);
  assert.equal(await line(page, 'count()'), '3');
  assert.match(await line(page, 'co()'), /step 3/);
  assert.match(await line(page, '#names'), /3/);

  await page.click('#world-button');
  await page.locator('#globals').getByText('names').waitFor();
  await page.locator('#globals summary', { hasText: 'names' }).click();
  await page.locator('#globals .children').getByText('"Ada"').waitFor();
  // Live, and what was open stays open.
  await line(page, 'names[1] = "Grace"');
  await page.locator('#globals .children').getByText('"Grace"').waitFor();
  // The world's own table, whose rows are in the store, with rows of a table in it.
  const home = page.locator('#globals > details').first();
  await home.locator('> summary', { hasText: '_home' }).click();
  const users = home.locator('.children > details', { hasText: 'users' }).first();
  await users.locator('> summary').click();
  await users.locator('> .children > details').nth(99).waitFor();
  await users.getByRole('button', { name: 'more' }).click();
  await users.locator('> .children > details').nth(199).waitFor();
  assert.ok((await page.locator('#commits tbody tr').count()) >= 2);
  await page.locator('#storage').getByText('records').waitFor();

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
  const file = join(folder, 'exported.evermoon');
  await download.saveAs(file);
  assert.equal(readFileSync(file).subarray(0, 7).toString(), 'EVMSNAP');

  await page.click('#restart');
  await page.click('#sure-yes');
  await page.locator('#globals').getByText('none yet').waitFor();
  await ready(page);
  assert.equal(await line(page, 'count'), 'nil');

  // A file that is no world changes nothing.
  await line(page, 'here = 1');
  await page.locator('#file').setInputFiles({ name: 'x.evermoon', mimeType: 'application/octet-stream', buffer: Buffer.from('no world') });
  await page.click('#sure-yes');
  await page.locator('#output .failure').getByText('no snapshot of Evermoon').waitFor();
  await ready(page);
  assert.equal(await line(page, 'here'), '1');

  await page.locator('#file').setInputFiles(file);
  await page.click('#sure-yes');
  await page.locator('#globals').getByText('names').waitFor();
  await ready(page);
  assert.equal(await line(page, 'count()'), '4');
  assert.match(await line(page, 'co()'), /step 4/);
  assert.deepEqual(page.complaints, []);
  await context.close();

  // Elsewhere, by drag and drop.
  context = await browserOf('two');
  page = await visit(context);
  const bytes = readFileSync(file).toString('base64');
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], 'exported.evermoon'));
    for (const type of ['dragenter', 'dragover', 'drop']) document.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }, bytes);
  await page.click('#sure-yes');
  await page.waitForFunction(() => document.querySelector('#state').dataset.kind === 'ready');
  await page.waitForTimeout(500);
  assert.equal(await line(page, 'count()'), '4');
  assert.deepEqual(page.complaints, []);
  await context.close();
});

test('a program that waits when the page is left goes on', async () => {
  const context = await browserOf('three');
  let page = await visit(context);
  await line(page, 'n = 0');
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText('local name = ask("Name?")\nprint("hello, " .. name)\ndone = name');
  await page.click('#run');
  await page.locator('.question input').waitFor();
  await page.waitForTimeout(2500); // a checkpoint
  await page.reload();
  await page.locator('#output .note').getByText('was waiting in ask()').waitFor();
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.locator('.question input').fill('Ada');
  await page.keyboard.press('Enter');
  await page.locator('#output').getByText('hello, Ada').waitFor();
  await page.locator('#state[data-kind=done]').waitFor();
  await page.reload();
  await ready(page);
  assert.match(await line(page, 'done'), /Ada/);
  assert.deepEqual(page.complaints, []);
  await context.close();
});

test('a second tab is told, and can take the world over', async () => {
  const context = await browserOf('four');
  const first = await visit(context);
  await line(first, 'x = 1');
  const second = await visit(context);
  await second.locator('#output .note').getByText('open in another tab').waitFor();
  assert.equal(await line(second, 'x'), 'nil');
  await second.getByRole('button', { name: 'Use it here' }).click();
  await second.locator('#kept', { hasText: 'World kept' }).waitFor();
  assert.equal(await line(second, 'x'), '1');
  await first.locator('#output .note').getByText('taken this world over').waitFor();
  await context.close();
});

/** `cargo xtask test page` names the native command. */
const native = process.env.EVERMOON;

test('a world goes from the command to the page and back', { skip: !native && 'EVERMOON does not name the native command' }, async () => {
  const evermoon = (...args) => execFileSync(native, args, { encoding: 'utf8' }).trim();
  const world = join(folder, 'native.world');
  evermoon(
    '--world',
    world,
    '-e',
    `names = { "Ada" } names.self = names
     local n = 0 function count() n = n + 1 return n end
     co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield("step " .. i) end end)
     _home.users = ext.table() for i = 1, 3000 do _home.users[i] = { n = i } end
     print(count(), co())`,
  );
  const exported = join(folder, 'native.evermoon');
  evermoon('world', 'export', world, exported);

  let context = await browserOf('five');
  let page = await visit(context);
  await page.click('#world-button');
  await page.locator('#file').setInputFiles(exported);
  await page.click('#sure-yes');
  await page.locator('#globals').getByText('names', { exact: true }).waitFor();
  await ready(page);
  assert.equal(await line(page, 'count()'), '2');
  assert.match(await line(page, 'co()'), /step 2/);
  assert.match(await line(page, 'names.self.self[1], #_home.users, _home.users[2000].n, ext.count(_home.users, 5, 9)'), /Ada[^]*3000[^]*2000[^]*5/);
  await line(page, '_home.users[2000].n = "changed in the page" _home.users[1] = nil');
  await context.close();

  // Another process on the same profile.
  context = await browserOf('five');
  page = await visit(context);
  assert.equal(await line(page, 'count()'), '3');
  assert.match(await line(page, '_home.users[1], _home.users[2000].n'), /nil[^]*changed in the page/);
  assert.match(await line(page, 'co()'), /step 3/);
  await page.click('#world-button');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
  const back = join(folder, 'back.evermoon');
  await download.saveAs(back);
  assert.deepEqual(page.complaints, []);
  await context.close();

  const second = join(folder, 'second.world');
  evermoon('world', 'import', back, second);
  assert.equal(
    evermoon('--world', second, '-e', 'print(count(), co(), names.self == names, ext.count(_home.users), _home.users[2000].n)'),
    '4\tstep 4\ttrue\t2999\tchanged in the page',
  );
  evermoon('world', 'verify', second);
});

test('a world that the browser has lost is not begun anew without a word', async () => {
  const context = await browserOf('six');
  let page = await visit(context);
  await line(page, 'x = 1');
  await page.close();
  page = await context.newPage();
  await page.goto(`${server.url}favicon.svg`);
  await page.evaluate(() => new Promise((resolve) => (indexedDB.deleteDatabase('evermoon:playground').onsuccess = resolve)));
  await page.close();
  page = await visit(context);
  await page.locator('#output .note').getByText('has lost what was kept here').waitFor();
  await page.locator('#kept', { hasText: 'World not kept' }).waitFor();
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.locator('#kept', { hasText: 'World kept' }).waitFor();
  await line(page, 'x = 2');
  await page.reload();
  await ready(page);
  assert.equal(await line(page, 'x'), '2');
  await context.close();
});
