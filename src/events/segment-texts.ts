/** Searches the bytes of a segment for texts that each wanted event has. A search is much faster than parsing. */
import { Buffer } from "node:buffer";
import { type EventFilter, listOf } from "#events/filter";
import { MAX_TEXTS, opening } from "#events/segment-conditions";
import { parseTextQuery } from "#lib/text-query";

/** Whether JSON may be that of a wanted event, or of a list with one. The bytes must not be kept. */
export type Holds = (json: Buffer) => boolean;

/** Returns a condition that the JSON of each wanted event meets. Null if the filter has no texts to search for. */
export function holdsTexts(filter: EventFilter): Holds | null {
  const resources = [filter.resource, ...listOf(filter.related), ...listOf(filter.any_resource)];
  const criteria = [
    filter.id?.id?.map((id) => `"id":"${id}"`),
    ...resources.map((resource) => resource?.id?.map((id) => JSON.stringify(id))),
    ...resources.map((resource) => (resource && "id_prefix" in resource ? resource.id_prefix?.map(opening) : null)),
  ];
  const conditions = [
    ...criteria.flatMap((texts) => (texts?.length && texts.length <= MAX_TEXTS ? holdsAny(texts) : [])),
    ...wordsOf(filter).map(holdsAnyWord),
  ];
  return conditions.length === 0 ? null : (json) => conditions.every((condition) => condition(json));
}

/** Whether one of these texts is in the JSON. */
export function holdsAny(texts: readonly string[]): Holds {
  const wanted = texts.map((text) => Buffer.from(text));
  return (json) => wanted.some((text) => json.includes(text));
}

/** A term without characters that JSON escapes. A term with a space may be found across two fields of an event. */
const WORD = /^[a-z0-9_.:/-]+$/;

/** The words of a text search in lower case, in lists. The JSON of a wanted event contains at least one word of each list. */
function wordsOf({ text }: EventFilter): string[][] {
  const { include, required } = parseTextQuery(text?.query.toLowerCase() ?? "");
  const lists = [include, ...required.map((term) => [term])];
  return lists.filter((terms) => terms.length > 0 && terms.every((term) => WORD.test(term)));
}

/** How many bytes are a string at once: V8 collects a short string soon, and a long one late. */
const PIECE_BYTES = 32_768;

/** The letters outside of ASCII whose lower case has a letter of ASCII. */
const OTHER_CASES: readonly (readonly [string, string])[] = [
  ["k", "\u212A"],
  ["i", "\u0130"],
];

/** Whether one of these words is in the JSON. The case of letters has no effect. May be true for another text with such a letter. */
function holdsAnyWord(words: readonly string[]): Holds {
  // Only literal words: no pattern of a user is run.
  const pattern = new RegExp(words.map((word) => word.replaceAll(".", "\\.")).join("|"), "i");
  const overlap = Math.max(...words.map((word) => word.length)) - 1;
  const others = OTHER_CASES.filter(([letter]) => words.some((word) => word.includes(letter)));
  const holdsOther = holdsAny(others.map(([, other]) => other));
  return (json) => {
    // A word has only characters of ASCII, which are bytes. As Latin-1, each byte is a character.
    for (let at = 0; at < json.length; at += PIECE_BYTES)
      if (pattern.test(json.toString("latin1", at, at + PIECE_BYTES + overlap))) return true;
    return holdsOther(json);
  };
}
