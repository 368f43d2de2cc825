/**
 * The language of text searches. At least one of the words and "phrases" must occur. `+` marks terms that must occur,
 * `-` or `!` terms that must not.
 */

/** The terms of a search. */
export interface TextQuery {
  include: string[];
  exclude: string[];
  required: string[];
}

/** A sign, then a word or a phrase in quotes. The last phrase may have no closing quote. A sign alone is ignored. */
const TERM = /([-!+]?)(?:"((?:\\[^]|[^"\\])*)(?:"|\\?$)|([^\s"]+))/g;

/** Whether a text matches a search. The case of letters has no effect. */
export function meetsTextQuery(query: string, text: string): boolean {
  const { include, exclude, required } = parseTextQuery(query.toLowerCase());
  const content = text.toLowerCase();
  const has = (term: string) => content.includes(term);
  return (include.length === 0 || include.some(has)) && !exclude.some(has) && required.every(has);
}

/** Reads the terms of a search. */
export function parseTextQuery(query: string): TextQuery {
  const terms: TextQuery = { include: [], exclude: [], required: [] };
  for (const [whole, sign, phrase, word] of query.matchAll(TERM)) {
    if (/^[-!+]$/.test(whole)) continue;
    const term = phrase?.replaceAll(/\\(["\\])/g, "$1") ?? word ?? "";
    if (term.trim() === "") continue;
    if (sign === "+") terms.required.push(term);
    else if (sign) terms.exclude.push(term);
    else terms.include.push(term);
  }
  return terms;
}
