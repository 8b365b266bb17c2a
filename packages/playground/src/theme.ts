/** Light and dark: as the system says until the button is pressed, then as chosen; choosing what the system says follows it again. */
const KEY = 'evermoon.theme';

export function installTheme(button: HTMLButtonElement): void {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const current = () => root.dataset['theme'] ?? (system.matches ? 'dark' : 'light');
  const tell = () => {
    button.title = `Now ${current()}; press for ${current() === 'dark' ? 'light' : 'dark'}`;
    button.setAttribute('aria-label', `Colour theme: ${current()}`);
  };
  button.addEventListener('click', () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    const follows = next === (system.matches ? 'dark' : 'light');
    if (follows) delete root.dataset['theme'];
    else root.dataset['theme'] = next;
    try {
      if (follows) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // No storage: the choice lasts as long as the page.
    }
    tell();
  });
  system.addEventListener('change', tell);
  tell();
}
