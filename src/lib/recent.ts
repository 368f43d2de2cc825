/** An isolate's memory of D1's rows: the newest rows, bounded in number, bytes and age. Losing the memory loses no data. */

interface Bounds {
  items: number;
  /** The bytes of all values together (an isolate has 128 MB), and of one value. */
  bytes: number;
  bytesOfOne: number;
  ageMs: number;
}

interface Kept<T> {
  value: T;
  at: number;
  bytes: number;
}

/** The key of a row in its workspace. */
export const keyOf = (workspaceId: string, id: string) => `${workspaceId}/${id}`;

/** The values that were put last, by key. */
export class Recent<T> {
  private readonly kept = new Map<string, Kept<T>>();
  private readonly bounds: Bounds;
  private bytes = 0;

  constructor(bounds: Bounds) {
    this.bounds = bounds;
  }

  /** Stores a value, unless its rows are too large. Older values are removed to make room. */
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

  /** Removes a value and returns it, if it is not too old. */
  take(key: string): T | undefined {
    const value = this.get(key);
    this.bytes -= this.kept.get(key)?.bytes ?? 0;
    this.kept.delete(key);
    return value;
  }

  /** Forgets the values for which `matches` is true. */
  forget(matches: (value: T) => boolean): void {
    for (const [key, { value }] of this.kept) if (matches(value)) this.take(key);
  }
}

/** The approximate bytes of a row: two for each character of its texts, and a fixed number for each column. */
function bytesOf(row: object): number {
  let bytes = 0;
  for (const value of Object.values(row)) bytes += (typeof value === "string" ? 2 * value.length : 0) + 16;
  return bytes;
}
