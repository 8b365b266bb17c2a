// Takes pictures of the page for people to look at: `node test/shots.mjs FOLDER`. Not a test.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launch, open, serve } from './serve.mjs';

const folder = process.argv[2] ?? 'shots';
mkdirSync(folder, { recursive: true });
const server = await serve({ '/': fileURLToPath(new URL('../dist', import.meta.url)) });
const browser = await launch();

/** The World panel, with something in it. */
async function world(page) {
  const line = async (code) => {
    await page.locator('#line').fill(code);
    await page.locator('#line').press('Enter');
    await page.waitForTimeout(250);
  };
  await page.locator('#stop:enabled').click({ timeout: 500 }).catch(() => {});
  await line('names = { "Ada", "Lua", born = 1815, nested = { deep = { 1, 2, 3 } } }');
  await line('_home.users = ext.table() for i = 1, 20 do _home.users[i] = { n = i, name = "user " .. i } end');
  await line('co = coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end) co()');
  await page.click('#world-button');
  await page.locator('#globals summary', { hasText: 'names' }).click();
  await page.locator('#globals > details > summary', { hasText: '_home' }).click();
  await page.waitForTimeout(300);
}

const shots = [
  ['wide-light', { width: 1440, height: 860 }, 'light', 'hello', 1200, async (page) => page.locator('#output summary').first().click()],
  ['wide-dark-orbits', { width: 1440, height: 860 }, 'dark', 'orbits', 1500],
  ['wide-dark-errors', { width: 1440, height: 860 }, 'dark', 'errors', 1200],
  ['wide-light-counters', { width: 1440, height: 860 }, 'light', 'counters', 1500],
  ['middle-light-patterns', { width: 1000, height: 760 }, 'light', 'patterns', 1200],
  ['narrow-light-await', { width: 390, height: 844 }, 'light', 'await', 2500],
  ['narrow-dark-orbits', { width: 390, height: 844 }, 'dark', 'orbits', 1500],
  ['wide-dark-help', { width: 1280, height: 800 }, 'dark', 'hello', 600, async (page) => page.click('#help-button')],
  ['wide-light-adventure', { width: 1280, height: 800 }, 'light', 'adventure', 800],
  ['wide-light-world', { width: 1440, height: 860 }, 'light', 'counters', 2500, world],
  ['wide-dark-world', { width: 1440, height: 860 }, 'dark', 'hello', 800, world],
  ['middle-light-world', { width: 1000, height: 760 }, 'light', 'hello', 800, world],
  ['narrow-light-world', { width: 390, height: 844 }, 'light', 'hello', 800, world],
  ['narrow-dark-hello', { width: 390, height: 844 }, 'dark', 'hello', 800],
  ['wide-light-syntax', { width: 1280, height: 800 }, 'light', 'hello', 300, async (page) => {
    await page.locator('.cm-content').click();
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText('local x = 1\nlocal function f(\nprint(x)\n');
    await page.click('#run');
    await page.waitForTimeout(400);
  }],
  ['wide-dark-mandelbrot', { width: 1280, height: 800 }, 'dark', 'mandelbrot', 5000],
].filter(([name]) => !process.argv[3] || name.includes(process.argv[3]));
for (const [name, viewport, colorScheme, example, wait, also] of shots) {
  const page = await open(browser, `${server.url}#${example}`, { viewport, colorScheme });
  await page.getByText('Ready').waitFor();
  await page.click('#run');
  await page.waitForTimeout(wait);
  await also?.(page);
  await page.waitForTimeout(100);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: viewport.width < 500 });
  if (page.complaints.length + page.strangers.length) console.log(name, page.complaints, page.strangers);
  await page.context().close();
}
await browser.close();
await server.close();
