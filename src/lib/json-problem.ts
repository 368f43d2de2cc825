/** The fault of a text that is not JSON, with the message of Python's parser. The original passes this message on. */

interface Fault {
  words: string;
  at: number;
}

/** Returns the fault and the index of its character. The text must not be JSON. */
export function jsonProblem(text: string): { words: string; position: number } {
  const { words, at } = findFault(text);
  return { words, position: countCharacters(text.slice(0, at)) };
}

/** Returns the fault as Python prints it: with its line, its column and its character. The text must not be JSON. */
export function jsonError(text: string): string {
  const { words, at } = findFault(text);
  const before = text.slice(0, at);
  const lines = before.split("\n");
  const column = countCharacters(lines.at(-1) ?? "") + 1;
  return `${words}: line ${lines.length} column ${column} (char ${countCharacters(before)})`;
}

/** Python counts a character outside the BMP as one, JavaScript counts it as two. */
function countCharacters(text: string): number {
  return text.replaceAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, "x").length;
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /null|true|false|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Where a match that begins at `at` ends; `at` itself if there is none. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Reads the text as Python's parser does, up to the fault. Without recursion, because a client may nest values to any depth. */
function findFault(text: string): Fault {
  const closers: string[] = [];
  let due: "value" | "name" | "more" = "value";
  let at = endOf(SPACE, text, 0);
  for (;;) {
    const char = text[at];
    if (due === "more") {
      at = endOf(SPACE, text, at);
      const closer = closers.at(-1);
      if (closer === undefined) return { words: "Extra data", at };
      if (text[at] === closer) {
        closers.pop();
        at++;
        continue;
      }
      if (text[at] !== ",") return { words: "Expecting ',' delimiter", at };
      at = endOf(SPACE, text, at + 1);
      due = closer === "}" ? "name" : "value";
      continue;
    }
    if (due === "name" && char !== '"') return { words: "Expecting property name enclosed in double quotes", at };
    if (char === '"') {
      const end = endOfString(text, at);
      if (typeof end !== "number") return end;
      at = end;
      if (due === "value") {
        due = "more";
        continue;
      }
      at = endOf(SPACE, text, at);
      if (text[at] !== ":") return { words: "Expecting ':' delimiter", at };
      at = endOf(SPACE, text, at + 1);
      due = "value";
      continue;
    }
    if (char === "{" || char === "[") {
      const closer = char === "{" ? "}" : "]";
      closers.push(closer);
      at = endOf(SPACE, text, at + 1);
      if (text[at] === closer) due = "more";
      else due = char === "{" ? "name" : "value";
      continue;
    }
    const end = endOf(SCALAR, text, at);
    if (end === at) return { words: "Expecting value", at };
    at = end;
    due = "more";
  }
}

/** Where the string that begins at `start` ends, or its fault. */
function endOfString(text: string, start: number): number | Fault {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') return at + 1;
    if (char < " ") return { words: "Invalid control character at", at };
    if (char !== "\\") continue;
    const escaped = text.charAt(++at);
    if (escaped === "") break;
    if (escaped === "u") {
      // Python reads the digits only if a character follows them.
      if (at + 5 >= text.length || !/^[0-9a-f]{4}$/i.test(text.slice(at + 1, at + 5)))
        return { words: "Invalid \\uXXXX escape", at };
      at += 4;
    } else if (!'"\\/bfnrt'.includes(escaped)) {
      return { words: "Invalid \\escape", at: at - 1 };
    }
  }
  return { words: "Unterminated string starting at", at: start };
}
