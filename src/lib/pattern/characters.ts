/** Sets of characters, as in Python's `re`. A character is a code point. */

/** Whether a character is in a set. */
export type Has = (character: number) => boolean;

/** Returns the class of `\d`, `\w` or `\s`, for Unicode or for ASCII only. */
export function classOf(letter: "d" | "w" | "s", isAscii: boolean): Has {
  const { ascii, unicode } = CLASSES[letter];
  return (character) =>
    character < 128 ? ascii(character) : !isAscii && unicode.test(String.fromCodePoint(character));
}

/** The characters in a range, both ends included. */
export const between =
  (from: number, to: number): Has =>
  (character) =>
    character >= from && character <= to;

/** The characters of any of the sets. */
export const anyOf =
  (sets: readonly Has[]): Has =>
  (character) =>
    sets.some((has) => has(character));

/** All characters that are not in the set. */
export const noneOf =
  (has: Has): Has =>
  (character) =>
    !has(character);

/** The characters that are in the set in upper or lower case. */
export function inAnyCase(has: Has, isAscii: boolean): Has {
  return (character) => {
    if (has(character)) return true;
    if (isAscii && character > 127) return false;
    const text = String.fromCodePoint(character);
    return hasText(has, text.toLowerCase()) || hasText(has, text.toUpperCase());
  };
}

function hasText(has: Has, text: string): boolean {
  const character = text.codePointAt(0) ?? 0;
  return text.length === String.fromCodePoint(character).length && has(character);
}

const isDigit = between(0x30, 0x39);

// Each expression reads one character at a time, so no text makes it slow.
const CLASSES = {
  d: { ascii: isDigit, unicode: /\p{Nd}/u },
  w: {
    ascii: anyOf([between(0x61, 0x7a), between(0x41, 0x5a), isDigit, between(0x5f, 0x5f)]),
    unicode: /[\p{L}\p{N}]/u,
  },
  // In Python the ASCII separators (1C to 1F) are spaces.
  s: { ascii: anyOf([between(0x20, 0x20), between(0x09, 0x0d), between(0x1c, 0x1f)]), unicode: /[\x85\p{Z}]/u },
};
