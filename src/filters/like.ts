/** Case-insensitive `LIKE` for D1. D1 refuses a pattern over 50 bytes, and ignores case only for ASCII letters. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { each } from "#db/sql";

/** One part of a pattern: any text, any character, or one of these characters. */
type Token = { any: "stretch" | "character" } | { of: string };

const MAX_BYTES = 50;

/** The code point that marks both ends of the text. The code point is not a character. */
const EDGE = "\uFFFE";
const EDGE_SQL = sql.raw("char(65534)");

/**
 * Gives the condition that the column matches one of the patterns, like `ilike` of Postgres: `%` and `_` are wildcards,
 * and `\` escapes them. The condition is a `GLOB`, because its classes (`[äÄ]`) match both cases. A pattern that is too
 * long is cut, and a search by pieces (`walk`) decides.
 */
export function isLikeAny(column: SQLWrapper, patterns: string[]): SQL {
  const globs = patterns.map((pattern) => toGlob(readPattern(pattern)));
  const whole = globs.filter((one) => one.whole).map(({ glob }) => glob);
  const cut = globs.filter((one) => !one.whole).map(({ glob, tokens }) => ({ glob, pieces: toPieces(tokens) }));
  const [first] = globs;
  if (first !== undefined && globs.length === 1) {
    const begins = sql`lower(${column}) glob ${first.glob}`;
    return first.whole ? begins : sql`(${begins} and ${walk(column, sql`${JSON.stringify(toPieces(first.tokens))}`)})`;
  }
  const likeWhole = sql`exists (select 1 from ${each(whole)} as pattern
    where lower(${column}) glob pattern.value)`;
  if (cut.length === 0) return likeWhole;
  const likeCut = sql`exists (select 1 from ${each(cut)} as pattern
    where lower(${column}) glob (pattern.value ->> '$.glob') and ${walk(column, sql`(pattern.value -> '$.pieces')`)})`;
  return sql`(${likeWhole} or ${likeCut})`;
}

function readPattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (escaped) tokens.push({ of: spellings(character) });
    else if (character === "%") tokens.push({ any: "stretch" });
    else if (character === "_") tokens.push({ any: "character" });
    else if (character !== "\\") tokens.push({ of: spellings(character) });
    escaped = !escaped && character === "\\";
  }
  return tokens;
}

/** The spellings of a character in both cases. An ASCII letter is only lowercase, because the query lowers the column. */
function spellings(character: string): string {
  const lower = character.toLowerCase();
  if (character <= "\u007f") return lower;
  const upper = character.toUpperCase();
  const same = [lower, upper].filter((other) => Array.from(other).length === 1 && other.toLowerCase() === lower);
  return [...new Set([character, ...same])].join("");
}

/**
 * Gives the expression that finds a term in a text, as `isLikeAny` finds `%term%` in a column. The term is plain text:
 * `%`, `_` and `\` stand for themselves.
 */
export function termPattern(term: string): RegExp {
  const classes = Array.from(term, (character) => {
    const both = spellings(character).replaceAll(/[a-z]/g, (letter) => letter + letter.toUpperCase());
    return `[${both.replaceAll(/[\\\]^-]/g, "\\$&")}]`;
  });
  return new RegExp(classes.join(""), "u");
}

/** The pattern as a `GLOB`. A pattern that is too long is cut at its end. */
function toGlob(tokens: Token[]): { tokens: Token[]; glob: string; whole: boolean } {
  const bytes = new TextEncoder();
  let glob = "";
  for (const token of tokens) {
    const next = glob + globOf(token);
    // A cut pattern ends with `*`, which takes one more byte.
    if (bytes.encode(next).length >= MAX_BYTES) return { tokens, glob: `${glob}*`, whole: false };
    glob = next;
  }
  return { tokens, glob, whole: true };
}

function globOf(token: Token): string {
  if ("any" in token) return token.any === "stretch" ? "*" : "?";
  return Array.from(token.of).length > 1 || "*?[".includes(token.of) ? `[${token.of}]` : token.of;
}

/** The pieces of the pattern between the `%`. A piece has the matching characters of each position. An empty text matches any character. */
function toPieces(tokens: Token[]): string[][] {
  const pieces = [[EDGE]];
  for (const token of tokens) {
    if ("of" in token) pieces.at(-1)?.push(token.of);
    else if (token.any === "character") pieces.at(-1)?.push("");
    else pieces.push([]);
  }
  pieces.at(-1)?.push(EDGE);
  return pieces;
}

/**
 * Gives the condition that the text has the pieces one after the other. Each piece takes the first place where it matches, so the most
 * text is left for the other pieces. A step takes one character or one piece, so there are at most as many steps as characters.
 */
function walk(column: SQLWrapper, pieces: SQL): SQL {
  const size = sql`json_array_length(piece.value)`;
  const hit = sql`not exists (select 1 from json_each(piece.value) as token
    where instr(token.value, substr(subject.text, walk.place + token.key, 1)) = 0 and token.value <> '')`;
  return sql`exists (with recursive subject(text) as (select ${EDGE_SQL} || lower(${column}) || ${EDGE_SQL}),
    walk(done, place) as (
      select 0, 1 union all
      select walk.done + ${hit}, walk.place + iif(${hit}, ${size}, 1)
      from walk, subject, json_each(${pieces}) as piece
      where piece.key = walk.done and walk.place + ${size} - 1 <= length(subject.text)
    ) select 1 from walk where done = json_array_length(${pieces}))`;
}
