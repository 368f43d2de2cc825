/** What an isolate remembers of D1's rows: the newest, bounded in number, bytes and age. Nothing is lost with the memory. */

interface Bounds {
  items: number;
  /** The bytes of all values together, of the 128 MB that an isolate has; and of one value. */
  bytes: number;
  bytesOfOne: number;
  ageMs: number;
}

interface Kept<T> {
  value: T;
  at: number;
  bytes: number;
}

/** The values that were put last, by key. */
export class Recent<T> {
  private readonly kept = new Map<string, Kept<T>>();
  private readonly bounds: Bounds;
  private bytes = 0;

  constructor(bounds: Bounds) {
    this.bounds = bounds;
  }

  /** Keeps a value, unless its rows are too large. Older values make way. */
  put(key: string, value: T, rows: readonly object[]): void {
    this.take(key);
    const bytes = rows.reduce((sum, row) => sum + bytesOf(row), 0);
    if (bytes > this.bounds.bytesOfOne) return;
    this.kept.set(key, { value, at: Date.now(), bytes });
    this.bytes += bytes;
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= this.bounds.items && this.bytes <= this.bounds.bytes) return;
      this.take(oldest);
    }
  }

  /** The value, if it is not too old. */
  get(key: string): T | undefined {
    const kept = this.kept.get(key);
    return kept && Date.now() - kept.at <= this.bounds.ageMs ? kept.value : undefined;
  }

  /** Forgets a value, and gives it, if it is not too old. */
  take(key: string): T | undefined {
    const value = this.get(key);
    this.bytes -= this.kept.get(key)?.bytes ?? 0;
    this.kept.delete(key);
    return value;
  }

  /** Forgets the values of which `matches` is true. */
  forget(matches: (value: T) => boolean): void {
    for (const [key, { value }] of this.kept) if (matches(value)) this.take(key);
  }
}

/** The bytes of a row, roughly: two for each character of its texts, and some for each column. */
function bytesOf(row: object): number {
  let bytes = 0;
  for (const value of Object.values(row)) bytes += (typeof value === "string" ? 2 * value.length : 0) + 16;
  return bytes;
}
