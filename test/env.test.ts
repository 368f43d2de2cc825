import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { type Env, parseSettings, SETTINGS, type Setting } from "#env";
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

test.for([
  ["SLUICE_ARCHIVE_ENABLED", "perhaps"],
  ["SLUICE_ARCHIVE_EVENTS_AFTER_SECONDS", "10799"],
  ["SLUICE_ARCHIVE_EVENTS_AFTER_SECONDS", "a day"],
  ["SLUICE_ARCHIVE_LOGS_AFTER_SECONDS", "3599"],
  ["SLUICE_ARCHIVE_RUNS", "2"],
  ["SLUICE_ARCHIVE_RETENTION_PERIOD", "-1"],
])("the archive's %s cannot be `%s`, and the error names it", ([name = "", value]) => {
  expect(() => parseSettings({ [name]: value } as unknown as Env)).toThrow(name);
});

const workspace = "00000000-0000-4000-8000-000000000001";

test.for([
  ["DB"],
  ["not JSON"],
  [JSON.stringify([workspace])],
  [JSON.stringify({ "the first one": "DB" })],
  [JSON.stringify({ [workspace.replaceAll("-", "")]: "DB" })],
  [JSON.stringify({ [workspace]: 1 })],
  [JSON.stringify({ [workspace]: "" })],
  [JSON.stringify({ [workspace]: "DB_MISSING" })],
  [JSON.stringify({ [workspace]: "ARCHIVE" })],
  [JSON.stringify({ [workspace]: "SLUICE_MODE" })],
  [JSON.stringify({ [workspace]: { from: "DB" } })],
  [JSON.stringify({ [workspace]: { from: "DB", to: "DB" } })],
  [JSON.stringify({ [workspace]: { from: "DB", to: "DB_MISSING" } })],
])("the databases of workspaces cannot be `%s`, and the error names the setting", ([value]) => {
  expect(() => parseSettings({ ...env, SLUICE_DATABASES: value })).toThrow("SLUICE_DATABASES");
});

test("the error about a database without a binding names the binding", () => {
  const value = JSON.stringify({ [workspace]: "DB_MISSING" });
  expect(() => parseSettings({ ...env, SLUICE_DATABASES: value })).toThrow("no binding DB_MISSING of D1");
});

test("without the setting, no workspace has a database of its own", () => {
  expect(parseSettings({} as Env).databases).toEqual({});
  const set = { [workspace]: "DB_OTHER", "00000000-0000-4000-8000-000000000002": { from: "DB", to: "DB_OTHER" } };
  expect(parseSettings({ ...env, SLUICE_DATABASES: JSON.stringify(set) }).databases).toEqual(set);
});

test("the archive's settings have defaults, and can be set", () => {
  expect(parseSettings({} as Env).archive).toEqual({
    enabled: true,
    events_after_seconds: 86_400,
    logs_after_seconds: 604_800,
    runs: true,
    retention_period: 34_560_000,
  });
  const set = { SLUICE_ARCHIVE_ENABLED: "false", SLUICE_ARCHIVE_RETENTION_PERIOD: "0" } as unknown as Env;
  expect(parseSettings(set).archive).toMatchObject({ enabled: false, retention_period: 0 });
});
