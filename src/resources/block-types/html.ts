/** The characters that HTML reserves, as the original stores them in texts of block types. */

const ESCAPES: readonly (readonly [string, string])[] = [
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
];

/** The other entities that stand for one of these characters or for a quote. */
const SAME: readonly (readonly [RegExp, string])[] = [
  [/&lt;|&#60;|&#x3c;/gi, "<"],
  [/&gt;|&#62;|&#x3e;/gi, ">"],
  [/&quot;|&#34;|&#x22;/gi, '"'],
  [/&apos;|&#39;|&#x27;/gi, "'"],
  [/&amp;|&#38;|&#x26;/gi, "&"],
];

/** Prefect: a new type's description and example are stored escaped, quotes are not. */
export function escapeHtml(text: string): string {
  return ESCAPES.reduce((escaped, [character, entity]) => escaped.replaceAll(character, entity), text);
}

/** The text without escapes, to compare two texts. */
export function unescapeHtml(text: string): string {
  return SAME.reduce((plain, [entity, character]) => plain.replaceAll(entity, character), text);
}
