/** Compares what the calls of a group did on both servers. */
import { argumentsOf } from "./case.ts";
import { explained, NOT_YET } from "./explained.ts";
import type { Played } from "./play.ts";

/** The most lines that are shown of an output that differs. */
const MOST_LINES = 25;

export interface Compared {
  group: string;
  line: string;
  /** The command of the call. Undefined for a request. */
  command: string | undefined;
  /** Undefined if both servers did the same. */
  difference: string | undefined;
  /** The reason of a difference. Undefined if it has none. */
  reason: string | undefined;
  /** How the original ended, if it ended otherwise than the call expects. Then the call must be corrected. */
  wrong: string | undefined;
}

interface Pair {
  group: string;
  reference: Played;
  target: Played;
  commands: readonly string[];
}

export function compare({ group, reference, target, commands }: Pair): Compared {
  const { line, ends } = reference.call;
  const difference = differenceOf(reference, target);
  const reason = difference === undefined ? undefined : reasonOf(reference, target);
  const isExpected = (reference.code === 0) === (ends === "well");
  const wrong = isExpected ? undefined : `${reference.code}\n${reference.stdout}\n${reference.stderr}`;
  return { group, line, command: commandOf(line, commands), difference, reason, wrong };
}

/** The reasons of explained.ts that have explained nothing. */
export function unusedReasons(compared: readonly Compared[]): string[] {
  const used = new Set(compared.map(({ reason }) => reason));
  return [...NOT_YET, ...explained].map(({ reason }) => reason).filter((reason) => !used.has(reason));
}

function reasonOf(reference: Played, target: Played): string | undefined {
  const { line } = reference.call;
  const notYet = (text: string) => NOT_YET.find(({ calls }) => calls.test(text))?.reason;
  return explained.find(({ holds }) => holds({ line, reference, target }))?.reason ?? notYet(line);
}

function differenceOf(reference: Played, target: Played): string | undefined {
  const parts = [
    ...(reference.code === target.code ? [] : [`exit code ${reference.code}, and ${target.code} on Sluice`]),
    ...linesOf("stdout", reference.stdout, target.stdout),
    ...linesOf("stderr", reference.stderr, target.stderr),
  ];
  return parts.length === 0 ? undefined : parts.join("\n");
}

/** The lines from the first one that differs to the last one. */
function linesOf(stream: string, reference: string, target: string): string[] {
  if (reference === target) return [];
  const [one, other] = [reference.split("\n"), target.split("\n")];
  const begin = one.findIndex((text, index) => text !== other[index]);
  const start = begin === -1 ? one.length : begin;
  let end = 0;
  while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const between = (lines: string[]) => lines.slice(start, lines.length - end).slice(0, MOST_LINES);
  return [`${stream}:`, ...between(one).map((text) => `  - ${text}`), ...between(other).map((text) => `  + ${text}`)];
}

/** The longest path of a command with which the line begins. */
export function commandOf(line: string, commands: readonly string[]): string | undefined {
  const words = argumentsOf(line.replace(/^(--(no-)?prompt |--profile \S+ )+/, ""));
  const paths = words.map((_, index) => words.slice(0, words.length - index).join(" "));
  return paths.find((path) => commands.includes(path));
}
