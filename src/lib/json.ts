/**
 * JSON with the client's exact numbers. Python keeps 2^60 + 1, `1.0` and numbers of 30 digits; JavaScript's numbers do not. A number
 * that JavaScript would change is kept as its source text (`JSON.rawJSON`) and printed as that text. The depth is bounded.
 */

/**
 * How deep arrays and objects may nest. SQLite's JSON functions read 1,000 levels (`JSON_MAX_DEPTH`), and stored values
 * are a few levels deeper, in lists of states and of events. The original's JSON parser stops at about 1,000, too.
 */
export const MAX_JSON_DEPTH = 900;

/** How deep stored JSON is read. A client's value is stored inside our own lists and records. This is SQLite's depth. */
export const STORED_JSON_DEPTH = 1_000;

/** A number that JavaScript would change, as `JSON.rawJSON` keeps it. `JSON.stringify` prints its text. */
export interface ExactNumber {
  readonly rawJSON: string;
}

/** V8's additions to JSON that TypeScript does not know yet. */
interface ExactJson {
  rawJSON(text: string): ExactNumber;
  isRawJSON(value: unknown): value is ExactNumber;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}

const exactJson = JSON as unknown as ExactJson;

/** JSON that nests deeper than `MAX_JSON_DEPTH`. */
export class TooDeep extends SyntaxError {
  /** The names and indexes of the path to the value that is too deep; the two outermost at most. */
  readonly path: (string | number)[];

  constructor(path: (string | number)[], maxDepth: number) {
    super(`JSON may nest at most ${maxDepth} levels deep`);
    this.path = path;
  }
}

/**
 * A number that may lose digits or its spelling: an integer of 17 or more digits, or of 16 digits from 9 up (2^53 has 16 digits and
 * begins with 9); a decimal of 16 or more digits, or one that ends in 0; an exponent; a negative zero. A match between other characters
 * than JSON's own is not a number. The expression finds all such numbers, and a few that would not change.
 */
const INEXACT =
  /(?:^|[[,:\s])-?(?:9\d{15}|\d{17}|(?:\d+\.\d*0|\d[\d.]{16,})(?=[\s,\]}]|$)|\d+(?:\.\d+)?[eE]|(?<=-)0(?=[\s,\]}]|$))/;

/**
 * Parses a text exactly. Throws `SyntaxError` if the text is not JSON, and its subclass `TooDeep` if the text nests too deep. A number
 * that JavaScript would change is an `ExactNumber`. `isExactNumber` recognises it, and `numberOf` returns its value.
 */
export function parseJson(text: string, maxDepth: number = MAX_JSON_DEPTH): unknown {
  checkDepth(text, maxDepth);
  return INEXACT.test(text) ? exactJson.parse(text, exactly()) : (JSON.parse(text) as unknown);
}

/** Parses a text without JSON from users, so its numbers are JavaScript's. Throws as `parseJson` does. */
export function parsePlainJson(text: string): unknown {
  checkDepth(text);
  return JSON.parse(text) as unknown;
}

/** This many different numbers of one text are made only once, because a text may have `1.0` a hundred thousand times. */
const MAX_SHARED = 1_000;

/** A reviver for one text. An `ExactNumber` is frozen, so places with the same number may share it. */
function exactly() {
  const made = new Map<string, ExactNumber>();
  return (_key: string, value: unknown, { source }: { source?: string }): unknown => {
    if (typeof value !== "number" || source === undefined || String(value) === source) return value;
    const known = made.get(source);
    if (known) return known;
    const number = exactJson.rawJSON(source);
    if (made.size < MAX_SHARED) made.set(source, number);
    return number;
  };
}

/** Whether a value of parsed JSON is a number that is kept as its text. */
export function isExactNumber(value: unknown): value is ExactNumber {
  return exactJson.isRawJSON(value);
}

/** The nearest JavaScript number of an `ExactNumber`. Any other value is returned unchanged. */
export function numberOf(value: unknown): unknown {
  return isExactNumber(value) ? Number(value.rawJSON) : value;
}

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** Throws `TooDeep` if a text nests deeper than `maxDepth`. One pass, without recursion. Does not check whether the text is JSON. */
export function checkDepth(text: string, maxDepth: number = MAX_JSON_DEPTH): void {
  // A text that is too deep opens more than `maxDepth` arrays and objects. Counting the opening characters is faster
  // than reading all characters.
  if (text.length <= maxDepth || countUpTo(text, "[") + countUpTo(text, "{") <= maxDepth) return;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      if (++depth > maxDepth) throw new TooDeep(pathTo(text, at), maxDepth);
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) depth--;
  }
}

/** How many times a character is in a text. The count stops just above the greatest allowed depth. */
function countUpTo(text: string, char: string): number {
  let count = 0;
  for (let at = text.indexOf(char); at >= 0 && count <= STORED_JSON_DEPTH; at = text.indexOf(char, at + 1)) count++;
  return count;
}

const PATH_LEVELS = 2;

/** The outermost names and indexes of the path to a position in a text. */
function pathTo(text: string, end: number): (string | number)[] {
  const path: (string | number)[] = [];
  let depth = 0;
  for (let at = 0; at < end; at++) {
    const char = text.charAt(at);
    if (char === '"') {
      const from = at;
      for (at++; at < end && text.charAt(at) !== '"'; at++) if (text.charAt(at) === "\\") at++;
      // A string is a name if a colon follows. A string that is a value is overwritten by the next name, or is never used.
      if (depth <= PATH_LEVELS && typeof path[depth - 1] === "string" && /^\s*:/.test(text.slice(at + 1, at + 20)))
        path[depth - 1] = text.slice(from + 1, at);
    } else if (char === "{" || char === "[") {
      if (++depth <= PATH_LEVELS) path[depth - 1] = char === "{" ? "" : 0;
    } else if (char === "}" || char === "]") {
      if (--depth < PATH_LEVELS) path.length = Math.max(0, depth);
    } else if (char === "," && depth <= PATH_LEVELS) {
      const part = path[depth - 1];
      if (typeof part === "number") path[depth - 1] = part + 1;
    }
  }
  return path.slice(0, PATH_LEVELS);
}
