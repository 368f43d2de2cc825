/** The token of the next page: the filter and its window in time, what is known already, and where the last page ended. */
import { z } from "zod";
import { EventFilter } from "#events/filter";
import { refused } from "#lib/api-error";

const PageToken = z.object({
  filter: EventFilter,
  window: z.object({ since: z.int(), until: z.int() }),
  total: z.int(),
  limit: z.int().min(0),
  read: z.int().min(0),
  after: z.object({ occurred: z.int(), id: z.string() }).nullable(),
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
