/** Which bytes of a bundle are read at once, when several of its parts are wanted. */
import type { Entry } from "#archive/bundle";

/** How many bytes are read at once, unless a single part has more. */
export const MAX_RANGE_BYTES = 4_000_000;
/** Unwanted bytes between two wanted parts are read too, up to this number: a read costs more than they do. */
export const MAX_GAP_BYTES = 65_536;

/** Bytes of a bundle, and the parts in them. */
export interface Range {
  offset: number;
  length: number;
  readonly entries: Entry[];
}

/** The ranges that have these parts, in their order. Neighbours share a range if they are next to each other in the list, forwards or backwards. */
export function rangesOf(entries: readonly Entry[]): Range[] {
  const ranges: Range[] = [];
  for (const entry of entries) {
    const last = ranges.at(-1);
    const joined = last && joinedBy(last, entry);
    if (joined) Object.assign(last, joined).entries.push(entry);
    else ranges.push({ offset: entry.offset, length: entry.length, entries: [entry] });
  }
  return ranges;
}

/** The bytes of a range with one more part; null if they are too many or too far apart. */
function joinedBy(range: Range, entry: Entry): { offset: number; length: number } | null {
  const gap = Math.max(entry.offset - (range.offset + range.length), range.offset - (entry.offset + entry.length));
  const offset = Math.min(range.offset, entry.offset);
  const length = Math.max(range.offset + range.length, entry.offset + entry.length) - offset;
  return gap <= MAX_GAP_BYTES && length <= MAX_RANGE_BYTES ? { offset, length } : null;
}
