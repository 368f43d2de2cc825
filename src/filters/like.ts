/** Case-insensitive `LIKE` for D1, which takes no pattern over 50 bytes and knows the case of ASCII letters only. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { each } from "#db/sql";

/** What a pattern asks of the text, piece by piece: any stretch, any character, or one of these characters. */
type Token = { any: "stretch" | "character" } | { of: string };

const MAX_BYTES = 50;

/** Marks an end of the text for a pattern that is bound to it; a code point that stands for no character. */
const EDGE = "\uFFFE";
const EDGE_SQL = sql.raw("char(65534)");

/**
 * Whether the column matches one of the patterns as in Postgres' `ilike`: `%` and `_` are wildcards, `\` takes their
 * meaning away. A `GLOB` says it, for its classes (`[äÄ]`) know every case. One that is too long is cut, and a walk
 * over the text decides.
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

/** The characters that are this one in another case. ASCII only in lower case, for the column is lowered by the database. */
function spellings(character: string): string {
  const lower = character.toLowerCase();
  if (character <= "\u007f") return lower;
  const upper = character.toUpperCase();
  const same = [lower, upper].filter((other) => Array.from(other).length === 1 && other.toLowerCase() === lower);
  return [...new Set([character, ...same])].join("");
}

/** The pattern as a `GLOB`, or as much of its beginning as fits. */
function toGlob(tokens: Token[]): { tokens: Token[]; glob: string; whole: boolean } {
  const bytes = new TextEncoder();
  let glob = "";
  for (const token of tokens) {
    const next = glob + globOf(token);
    // One byte stays free for the star of a pattern that is cut.
    if (bytes.encode(next).length >= MAX_BYTES) return { tokens, glob: `${glob}*`, whole: false };
    glob = next;
  }
  return { tokens, glob, whole: true };
}

function globOf(token: Token): string {
  if ("any" in token) return token.any === "stretch" ? "*" : "?";
  return Array.from(token.of).length > 1 || "*?[".includes(token.of) ? `[${token.of}]` : token.of;
}

/** What stands between the `%`: lists of the characters allowed at each place, none meaning any. */
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
 * Finds the pieces one after the other, each as early as it can be, which is enough to decide.
 * Takes one character or one piece a step, so the cost is that of the text's length.
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
