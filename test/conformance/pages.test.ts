/** The pages that `npm run compatibility` writes are what it would write now. */
import { expect, test } from "vitest";
import { describe as describeRoutes } from "#describe";
import { routes, sockets } from "#routes";
import compatibility from "../../docs/compatibility.md?raw";
import operationsMd from "../../docs/operations.md?raw";
import differences from "./differences.json";
import { explained } from "./explained";
import { BEGIN, END } from "./marks";
import { type OpenApi, operationsIn, operationsPage, summary } from "./pages";
import type { TranscriptStep } from "./play";
import original from "./operations.json";
import { SOCKETS } from "./sockets";

const files = import.meta.glob<TranscriptStep[]>("./recorded/*.json", { eager: true, import: "default" });
const recorded = Object.fromEntries(
  Object.entries(files).map(([file, steps]) => [file.replace(/^.*\/(.*)\.json$/, "$1"), steps]),
);
const facts = {
  ours: operationsIn(describeRoutes(routes, "0.0.0") as unknown as OpenApi),
  recorded,
  differences: differences as Record<string, Record<string, string[]>>,
};

/** The formatter breaks lines and aligns tables. */
const unformatted = (text: string) => text.replaceAll(/-{3,}/g, "---").replaceAll(/\s+/g, " ").trim();

test("docs/operations.md is up to date", () => {
  expect(unformatted(operationsMd)).toBe(unformatted(operationsPage(facts)));
});

test("the generated part of docs/compatibility.md is up to date", () => {
  const part = compatibility.split(BEGIN)[1]?.split(END)[0] ?? "";
  expect(unformatted(part)).toBe(unformatted(summary(facts)));
});

test("every reason for a difference holds for a recorded request", () => {
  const used = new Set(Object.values(differences).flatMap((steps) => Object.values(steps).flat()));
  expect(explained.map(({ reason }) => reason).filter((reason) => !used.has(reason))).toEqual([]);
});

test("every socket of the original is served and has checks", () => {
  expect(sockets.map(({ path }) => path).toSorted()).toEqual(original.sockets);
  expect(Object.keys(SOCKETS).toSorted()).toEqual(original.sockets);
});

test("the checks of sockets are tests", () => {
  const tests = new Set(
    Object.keys(import.meta.glob(["../**/*.test.ts", "../**/*.system.ts"])).map((path) => path.replace("..", "test")),
  );
  const checks = Object.values(SOCKETS).flatMap((socket) => socket.checks);
  expect(checks.filter((check) => !tests.has(check))).toEqual([]);
});
