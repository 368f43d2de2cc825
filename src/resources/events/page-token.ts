/** The token of the next page: the filter and its window, the total, and the position of the last page's end. */
import { Buffer } from "node:buffer";
import * as z from "zod";
import { EventFilter } from "#events/filter";
import { refused } from "#lib/api-error";
import { decodeBase64 } from "#lib/bytes";
import type { Micros } from "#lib/clock";

/** Prefect: INTERACTIVE_PAGE_SIZE. How many events a page has by default, and at most. */
export const MAX_PAGE = 50;

/** The years 1 to 9999. */
const FIRST_TIME: Micros = -62_135_596_800_000_000;
const LAST_TIME: Micros = 253_402_300_800_000_000;
const MAX_ID_CHARACTERS = 36;

/** A time in microseconds. In distant years it is too large for `z.int()`. */
const Time = z.number().min(FIRST_TIME).max(LAST_TIME);

/** Any client may make a token, so each field has the bounds of its meaning. */
const PageToken = z.strictObject({
  filter: EventFilter,
  window: z.strictObject({ since: Time, until: Time }),
  total: z.int().min(0),
  /** Whether all segments were read for the total. Old tokens do not have this field. */
  is_whole: z.boolean().default(true),
  limit: z.int().min(0).max(MAX_PAGE),
  read: z.int().min(0),
  after: z.strictObject({ occurred: Time, id: z.string().max(MAX_ID_CHARACTERS) }).nullable(),
});
export type PageToken = z.output<typeof PageToken>;

/** Gives the token as text for a URL. The window replaces the filter's times. */
export function printPageToken({ filter, ...rest }: PageToken): string {
  return Buffer.from(JSON.stringify({ ...rest, filter: { ...filter, occurred: undefined } })).toString("base64");
}

/** Reads a token. Throws 403 for a text that is not a token. */
export function parsePageToken(text: string): PageToken {
  try {
    return PageToken.parse(JSON.parse(decodeBase64(text)));
  } catch {
    throw refused(403, "Forbidden");
  }
}
