/** What `require` finds: the files of `modules/`, handed over after a moment, as if they came from a server. */
const files = import.meta.glob<string>('./modules/*.lua', { query: '?raw', import: 'default', eager: true });

export async function modules(name: string): Promise<string | undefined> {
  const source = files[`./modules/${name}.lua`];
  if (source !== undefined) await new Promise((resolve) => setTimeout(resolve, 120));
  return source;
}
