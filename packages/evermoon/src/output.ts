/** A program's output on its way to the user: bytes become lines, in order, and a last line without an end is kept until the run is over. */
import type { Output } from './types.js';

export class Sink {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest = '';
  #written = false;

  constructor(private readonly to: Output) {}

  /** Takes bytes; the view is good only during the call. */
  write(bytes: Uint8Array): void {
    const { onOutput, onPrint } = this.to;
    this.#written = true;
    if (onOutput) {
      onOutput(bytes.slice());
      return;
    }
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      const line = text.slice(from, end);
      from = end + 1;
      if (onPrint) onPrint(line);
      else console.log(line);
    }
    this.#rest = text.slice(from);
  }

  /** The run is over: hands out what has no line end. */
  end(): void {
    if (!this.#written) return;
    this.#written = false;
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = '';
    if (rest === '') return;
    if (this.to.onPrint) this.to.onPrint(rest);
    else if (!this.to.onOutput) console.log(rest);
  }
}
