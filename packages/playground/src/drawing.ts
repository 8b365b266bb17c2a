/**
 * The canvas as Lua sees it: an object that crosses by reference, so `c:circle(x, y, r)` calls the method here. A class of our own and not the browser's
 * context, because a context leads to the document and everything in it.
 */
export class Drawing {
  readonly #context: CanvasRenderingContext2D;

  constructor(
    canvas: HTMLCanvasElement,
    readonly width: number,
    readonly height: number,
  ) {
    const scale = Math.min(3, Math.max(1, window.devicePixelRatio || 1));
    canvas.width = width * scale;
    canvas.height = height * scale;
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser gives no 2d canvas');
    context.scale(scale, scale);
    context.lineJoin = context.lineCap = 'round';
    this.#context = context;
  }

  /** Fills the whole, or empties it without a colour. */
  clear(colour?: string): void {
    const c = this.#context;
    c.clearRect(0, 0, this.width, this.height);
    if (colour === undefined) return;
    c.save();
    c.fillStyle = colour;
    c.globalAlpha = 1;
    c.fillRect(0, 0, this.width, this.height);
    c.restore();
  }

  /** The colour of what follows, and how opaque it is. */
  fill(colour: string, alpha = 1): void {
    this.#context.fillStyle = this.#context.strokeStyle = colour;
    this.#context.globalAlpha = alpha;
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.#context.fillRect(x, y, width, height);
  }

  circle(x: number, y: number, radius: number): void {
    const c = this.#context;
    c.beginPath();
    c.arc(x, y, Math.max(0, radius), 0, 2 * Math.PI);
    c.fill();
  }

  line(x1: number, y1: number, x2: number, y2: number, width = 1): void {
    const c = this.#context;
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x1, y1);
    c.lineTo(x2, y2);
    c.stroke();
  }

  /** A filled shape: x1, y1, x2, y2, … */
  polygon(...points: number[]): void {
    const c = this.#context;
    c.beginPath();
    for (let i = 0; i + 1 < points.length; i += 2) c.lineTo(points[i]!, points[i + 1]!);
    c.closePath();
    c.fill();
  }

  text(text: unknown, x: number, y: number, size = 14): void {
    const c = this.#context;
    c.font = `${size}px "Inter Variable", system-ui, sans-serif`;
    c.fillText(String(text), x, y);
  }
}
