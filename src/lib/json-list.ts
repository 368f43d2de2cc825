/** Splits the text of a JSON list without parsing it, so that its items stay as they are, byte for byte. */

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/** The texts of the items of a list. The text must be JSON. */
export function textsOfList(text: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let start = 0;
  const end = (at: number) => texts.push(text.slice(start, at).trim());
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (OPENING.has(code) && ++depth === 1) start = at + 1;
    else if (CLOSING.has(code) && --depth === 0) end(at);
    else if (code === COMMA && depth === 1) {
      end(at);
      start = at + 1;
    }
  }
  return texts.length === 1 && texts[0] === "" ? [] : texts;
}

/** The place of the quote that ends the string. */
function endOfString(text: string, begin: number): number {
  for (let at = text.indexOf('"', begin + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
