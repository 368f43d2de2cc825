/** The token of the next page: the filter and its window in time, what is known already, and where the last page ended. */
import { z } from "zod";
import { EventFilter } from "#events/filter";
import { refused } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { MAX_PAGE } from "#resources/events/schema";

/** The years 1 to 9999. */
const FIRST_TIME: Micros = -62_135_596_800_000_000;
const LAST_TIME: Micros = 253_402_300_800_000_000;
const MAX_ID_CHARACTERS = 36;

/** Microseconds; of far years they are beyond what `z.int()` takes. */
const Time = z.number().min(FIRST_TIME).max(LAST_TIME);

/** A token may be made by anybody, so its fields have the bounds of what it stands for. */
const PageToken = z.strictObject({
  filter: EventFilter,
  window: z.strictObject({ since: Time, until: Time }),
  total: z.int().min(0),
  /** Whether all was looked at for the total. Absent from tokens that were made before it could be less. */
  is_whole: z.boolean().default(true),
  limit: z.int().min(0).max(MAX_PAGE),
  read: z.int().min(0),
  after: z.strictObject({ occurred: Time, id: z.string().max(MAX_ID_CHARACTERS) }).nullable(),
});
export type PageToken = z.output<typeof PageToken>;

/** The token as it goes into a URL. The window stands for the filter's own times. */
export function printPageToken({ filter, ...rest }: PageToken): string {
  const bytes = new TextEncoder().encode(JSON.stringify({ ...rest, filter: { ...filter, occurred: undefined } }));
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Reads a token; one that is not ours is refused (403). */
export function parsePageToken(text: string): PageToken {
  try {
    const json = new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
    return PageToken.parse(JSON.parse(json));
  } catch {
    throw refused(403, "Forbidden");
  }
}
