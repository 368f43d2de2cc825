/** What is wrong with a text that is no JSON, in the words of Python's parser, which the original passes on. */

/** V8's words, by how they begin, and Python's. */
const WORDS: readonly (readonly [string, string])[] = [
  ["Expected ',' or", "Expecting ',' delimiter"],
  ["Expected ':'", "Expecting ':' delimiter"],
  ["Expected property name", "Expecting property name enclosed in double quotes"],
  ["Expected double-quoted", "Expecting property name enclosed in double quotes"],
  ["Unterminated string", "Unterminated string starting at"],
  ["Unexpected non-whitespace", "Extra data"],
  ["Bad control character", "Invalid control character at"],
  ["Bad escaped character", "Invalid \\escape"],
];

/** The words, and at which character. */
export function jsonProblem(text: string, error: unknown): { words: string; position: number } {
  const message = error instanceof Error ? error.message : "";
  const position = Number(/position (\d+)/.exec(message)?.[1] ?? positionOf(text, message));
  const words = WORDS.find(([start]) => message.startsWith(start))?.[1] ?? "Expecting value";
  return { words, position };
}

/** The words and the place, as Python prints its error. */
export function jsonError(text: string, error: unknown): string {
  const { words, position } = jsonProblem(text, error);
  const before = text.slice(0, position).split("\n");
  return `${words}: line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1} (char ${position})`;
}

/** Some of V8's messages quote the text around the fault instead of saying where it is. */
function positionOf(text: string, message: string): number {
  const token = /^Unexpected token '(.+?)'/u.exec(message)?.[1];
  const place = token === undefined ? -1 : text.indexOf(token);
  return place < 0 ? text.length : place;
}
