/** An isolate's memory of values that never change: those that were used last. */

interface Kept<T> {
  value: T;
  bytes: number;
}

/** Values by key, at most so many bytes together. */
export class Remembered<T> {
  /** The value that was used last is the last one. */
  private readonly kept = new Map<string, Kept<T>>();
  private readonly maxBytes: number;
  private bytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get(key: string): T | undefined {
    const found = this.kept.get(key);
    if (!found) return undefined;
    this.kept.delete(key);
    this.kept.set(key, found);
    return found.value;
  }

  /** Remembers a value, and forgets those that were not used for the longest time. */
  put(key: string, value: T, bytes: number): void {
    this.forget(key);
    if (bytes > this.maxBytes) return;
    this.kept.set(key, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= this.maxBytes) return;
      this.forget(oldest);
    }
  }

  forget(key: string): void {
    this.bytes -= this.kept.get(key)?.bytes ?? 0;
    this.kept.delete(key);
  }
}
