/** Writes the result into docs/compatibility.md, between two marks. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Compared } from "./compare.ts";
import { NOT_YET } from "./explained.ts";
import { OUTSIDE } from "./groups.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = join(ROOT, "docs/compatibility.md");
const [BEGIN, END] = ["<!-- Written by `npm run test:cli`: begin -->", "<!-- Written by `npm run test:cli`: end -->"];

/** Puts the result into the page. Gives whether the page had another result. */
export function writeResult(compared: readonly Compared[]): boolean {
  const before = readFileSync(PAGE, "utf8");
  const [head, rest] = before.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${PAGE} has no section between the marks`);
  writeFileSync(PAGE, `${head}${BEGIN}\n\n${sectionOf(compared)}\n\n${END}${tail}`);
  execFileSync(join(ROOT, "node_modules/.bin/oxfmt"), [PAGE]);
  return readFileSync(PAGE, "utf8") !== before;
}

function sectionOf(all: readonly Compared[]): string {
  const calls = all.filter(({ command }) => command !== undefined);
  const commands = [...new Set(calls.map(({ command }) => command ?? ""))];
  const same = calls.filter(({ difference }) => difference === undefined).length;
  const reasons = [...new Set(calls.flatMap(({ reason }) => reason ?? []))].filter((reason) => !isNotYet(reason));
  const rows = commands.map((command) =>
    row(
      command,
      calls.filter((call) => call.command === command),
    ),
  );
  return [
    `${calls.length} calls of ${commands.length} commands: ${same} do the same on both servers.`,
    ["| command | calls | the same | what differs |", "| --- | --- | --- | --- |", ...rows].join("\n"),
    ...(reasons.length > 0
      ? ["What differs:", reasons.map((reason, index) => `${index + 1}. ${reason}`).join("\n")]
      : []),
    "Not compared:",
    Object.entries(OUTSIDE)
      .map(([name, reason]) => `- \`prefect ${name}\`: ${reason}`)
      .join("\n"),
  ].join("\n\n");

  function row(command: string, own: readonly Compared[]): string {
    const notes = new Set(own.flatMap(({ reason }) => (reason === undefined ? [] : [noteOf(reason)])));
    const equal = own.filter(({ difference }) => difference === undefined).length;
    return `| \`${command}\` | ${own.length} | ${equal} | ${[...notes].join(", ")} |`;
  }

  function noteOf(reason: string): string {
    return isNotYet(reason) ? "not yet" : `${reasons.indexOf(reason) + 1}`;
  }
}

function isNotYet(reason: string): boolean {
  return NOT_YET.some((line) => line.reason === reason);
}
