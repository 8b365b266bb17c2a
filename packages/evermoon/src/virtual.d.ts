declare module 'virtual:wasm' {
  /** evermoon.wasm in base64; `build.mjs` puts it in. */
  const base64: string;
  export default base64;
}
declare module 'virtual:wasm-world' {
  /** The same of evermoon-world.wasm. */
  const base64: string;
  export default base64;
}
declare module '*.lua' {
  /** The source, without its comments. */
  const source: string;
  export default source;
}
