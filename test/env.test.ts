import { expect, test } from "vitest";
import { SETTINGS, type Setting } from "#env";
import doc from "../docs/settings.md?raw";

const shown = (fallback: unknown): string => {
  if (fallback === null || (Array.isArray(fallback) && fallback.length === 0)) return "none";
  if (Array.isArray(fallback)) return fallback.join(",");
  const text = typeof fallback === "string" ? fallback : JSON.stringify(fallback);
  return typeof fallback === "object" ? `\`${text}\`` : text;
};

const rowOf = ({ variables, fallback }: Setting) => [
  variables.map((name) => `\`${name}\``).join(", "),
  shown(fallback),
];

test("docs/settings.md lists each setting with its variables, its default and what it does", () => {
  const rows = [...doc.matchAll(/^\| (`.*?) +\| (.*?) +\| (.*?) +\|$/gm)].map(([, ...cells]) => cells);
  expect(rows.map(([names, fallback]) => [names, fallback])).toEqual(SETTINGS.map(rowOf));
  for (const [names, , description] of rows) expect(description, names).toMatch(/\w/);
});

test("a variable belongs to one setting", () => {
  const names = SETTINGS.flatMap(({ variables }) => variables);
  expect(new Set(names).size).toBe(names.length);
});
