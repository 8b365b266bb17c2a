/** A program's output on its way to the user: bytes become lines, in order, and a last line without an end is kept until the run is over. */
import type { Output } from './types.js';

/** Makes lines of bytes. */
class Lines {
  /** Made when something is written first: of two in each engine, few are needed, and Node takes its time. */
  #decoder: TextDecoder | undefined;
  #rest = '';

  constructor(private readonly put: (line: string) => void) {}

  write(bytes: Uint8Array): void {
    const lines = (this.#rest + (this.#decoder ??= new TextDecoder('utf-8', { ignoreBOM: true })).decode(bytes, { stream: true })).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.put(line);
  }

  end(): void {
    const rest = this.#rest + (this.#decoder?.decode() ?? '');
    this.#rest = '';
    if (rest !== '') this.put(rest);
  }
}

const decoder = new TextDecoder();

export class Sink {
  readonly #out: Lines;
  readonly #err: Lines;
  #written = false;

  constructor(private readonly to: Output) {
    this.#out = new Lines(to.onPrint ?? ((line) => console.log(line)));
    this.#err = new Lines(to.onStderr ?? ((line) => console.error(line)));
  }

  /** Takes output. The bytes are the sink's own. */
  write(bytes: Uint8Array): void {
    if (this.to.onOutput) this.to.onOutput(bytes);
    else {
      this.#written = true;
      this.#out.write(bytes);
    }
  }

  /** Takes what went to the standard error stream, or a warning. */
  report(bytes: Uint8Array, isWarning: boolean): void {
    if (isWarning) {
      const text = decoder.decode(bytes);
      if (this.to.onWarn) this.to.onWarn(text);
      else console.warn(`Lua warning: ${text}`);
    } else {
      this.#written = true;
      this.#err.write(bytes);
    }
  }

  /** The run is over: hands out what has no line end. */
  end(): void {
    if (!this.#written) return;
    this.#written = false;
    this.#out.end();
    this.#err.end();
  }
}
