import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import fc from "fast-check";
import { test } from "vitest";
import { isLikeAny } from "#filters/like";

async function matching(texts: string[], patterns: string[]): Promise<string[]> {
  const query = sql`select value as text from json_each(${JSON.stringify(texts)}) as texts where ${isLikeAny(sql`texts.value`, patterns)}`;
  const { sql: statement, params } = new SQLiteSyncDialect().sqlToQuery(query);
  const { results } = await env.DB.prepare(statement)
    .bind(...params)
    .all<{ text: string }>();
  return results.map(({ text }) => text);
}

const EXACT: [text: string, pattern: string, matches: boolean][] = [
  ["", "%", true],
  ["", "%_%", false],
  ["50%", "%50\\%", true],
  ["50%x", "%50\\%", false],
  ["a\\b", "a\\\\b", true],
  ["straße", "STRASSE", false],
  ["ΣΑΣ", "σασ", true],
  ["ПОТОК", "поток", true],
  ["日本", "日_", true],
  ["😀x", "_X", true],
  ["]^-", "]^-", true],
  ["ab".repeat(40), "AB".repeat(40), true],
  ["ab".repeat(40), `${"AB".repeat(39)}_`, false],
  [`x${"ab".repeat(40)}`, `%${"AB".repeat(40)}`, true],
  [`x${"ab".repeat(40)}`, `${"AB".repeat(40)}%`, false],
  ["ab".repeat(40), `%${"_".repeat(80)}%`, true],
  ["ab".repeat(40), `%${"_".repeat(81)}%`, false],
  ["ПОТОК".repeat(3), `%${"поток".repeat(3)}%`, true],
];

test.for(EXACT)("'%s' like '%s' is %s", async ([text, pattern, matches], { expect }) => {
  expect(await matching([text], [pattern])).toEqual(matches ? [text] : []);
});

function toRegExp(pattern: string): RegExp {
  const source = pattern.replaceAll(/\\?[^]/gu, (token) => {
    if (token === "%") return "[^]*";
    if (token === "_") return "[^]";
    const literal = token.length > 1 && token.startsWith("\\") ? token.slice(1) : token;
    return literal === "\\" && token.length === 1 ? "" : literal.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^(?:${source})$`, "iu");
}

test("any pattern of any length matches as a regular expression would", async ({ expect }) => {
  const pattern = fc
    .array(
      fc.constantFrom(
        "a",
        "B",
        "ab",
        "ä",
        "*",
        "[",
        "%",
        "_",
        "\\%",
        "\\_",
        "\\\\",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "________",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join(""));
  const text = fc
    .array(fc.constantFrom("a", "A", "b", "Ab", "Ä", "*", "[", "%", "_", "\\", "aaaaaaaaAAAAAAAAaaaaaaaa"), {
      maxLength: 12,
    })
    .map((parts) => parts.join(""));
  const property = fc.asyncProperty(
    fc.array(pattern, { minLength: 1, maxLength: 3 }),
    fc.array(text),
    async (patterns, texts) => {
      const expressions = patterns.map(toRegExp);
      expect(await matching(texts, patterns)).toEqual(
        texts.filter((one) => expressions.some((expression) => expression.test(one))),
      );
    },
  );
  await fc.assert(property, { numRuns: 300 });
});
