/** Answers that stay the same while a version of the Worker runs. A client that has the answer gets a 304. */
import { createHash } from "node:crypto";
import { markLarge } from "#http/compression";

/** Such a text is sent seldom, so it is compressed from fewer characters. */
const LARGE = 10_000;

/** The tags of texts that were sent. There are few such texts. */
const tags = new Map<string, string>();

/** The answer with the text, or a 304 if the request names the tag of the text (`If-None-Match`). */
export function staticAnswer(request: Request, text: string, headers: Record<string, string>): Response {
  const tag = tags.get(text) ?? tagOf(text);
  tags.set(text, tag);
  // The client asks each time: a new version of the Worker has other answers.
  const all = { ...headers, etag: tag, "cache-control": "no-cache" };
  if (isKnown(request.headers.get("if-none-match"), tag)) return new Response(null, { status: 304, headers: all });
  return markLarge(new Response(text, { headers: all }), text.length, LARGE);
}

/** A weak tag, because the same text may be sent compressed. */
function tagOf(text: string): string {
  return `W/"${createHash("sha256").update(text).digest("hex").slice(0, 32)}"`;
}

function isKnown(header: string | null, tag: string): boolean {
  const bare = (one: string) => one.trim().replace(/^W\//, "");
  return header !== null && header.split(",").some((one) => one.trim() === "*" || bare(one) === bare(tag));
}
