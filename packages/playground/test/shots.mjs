// Takes pictures of the page for people to look at: `node test/shots.mjs FOLDER`. Not a test.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launch, open, serve } from './serve.mjs';

const folder = process.argv[2] ?? 'shots';
mkdirSync(folder, { recursive: true });
const server = await serve({ '/': fileURLToPath(new URL('../dist', import.meta.url)) });
const browser = await launch();

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
