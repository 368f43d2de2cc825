/** Writes docs/operations.md, and the part of docs/compatibility.md that is made from the recorded comparison. */
import { countRequests, ORIGINAL, operationOf } from "./coverage.ts";
import type { Differences } from "./differences.ts";
import { isNotYet } from "./not-yet.ts";
import type { TranscriptStep } from "./play.ts";
import { SOCKETS } from "./sockets.ts";

/** What the pages are made from. */
export interface Facts {
  /** The operations of Sluice's OpenAPI document (`GET /flows/{id}`), with their summaries. */
  ours: ReadonlyMap<string, string>;
  /** The recorded answers of the original, by scenario. */
  recorded: Readonly<Record<string, readonly TranscriptStep[]>>;
  differences: Differences;
}

/** The part of an OpenAPI document that names its operations. */
export interface OpenApi {
  paths: Record<string, Record<string, { summary: string }>>;
}

/** The operations of Sluice's own OpenAPI document. */
export function operationsIn({ paths }: OpenApi): Map<string, string> {
  return new Map(
    Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(
        ([method, { summary }]) => [`${method.toUpperCase()} ${path.replace("/api", "")}`, summary] as const,
      ),
    ),
  );
}

/** The text of docs/operations.md. */
export function operationsPage(facts: Facts): string {
  const { reasons, byOperation } = reasonsIn(facts);
  const counts = countRequests(Object.values(facts.recorded));
  const rows = ORIGINAL.map((operation) => {
    const { good, bad } = counts.get(operation) ?? { good: 0, bad: 0 };
    return [code(operation), stateOf(facts, operation, byOperation), good, bad];
  });
  const own = [...facts.ours].filter(
    ([operation]) => !ORIGINAL.some((known) => nameless(known) === nameless(operation)),
  );
  return `${[
    "# Operations",
    "`npm run compatibility` writes this page from the routes of Sluice, the operations of the original (Prefect 3.8.8), and the recorded comparison of both (`test/conformance`). [compatibility.md](compatibility.md) describes the differences that no recorded request shows.",
    "## Operations of the original",
    "“Carried out” and “refused” are the numbers of recorded requests that the original answers with 2xx and 4xx. “Same” means that Sluice gives the same status, headers and body for each of them. A number is a reason in the list below.",
    table(["operation", "answers", "carried out", "refused"], rows),
    "## Reasons",
    reasons.map((reason, index) => `${index + 1}. ${reason}`).join("\n"),
    ...(byOperation.has("")
      ? [`Requests to paths that are no operation differ because of ${numbers(byOperation.get(""))}.`]
      : []),
    "## Operations that the original does not have",
    table(
      ["operation", "what it does"],
      own
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([operation, summary]) => [code(operation), summary]),
    ),
    "## Sockets",
    table(
      ["socket", "use", "checks"],
      Object.entries(SOCKETS).map(([path, { use, checks }]) => [code(path), use, checks.map(code).join(", ")]),
    ),
  ].join("\n\n")}\n`;
}

/** The generated part of docs/compatibility.md. */
export function summary(facts: Facts): string {
  const { byOperation } = reasonsIn(facts);
  const states = ORIGINAL.map((operation) => stateOf(facts, operation, byOperation));
  const count = (wanted: (state: string) => boolean) => states.filter(wanted).length;
  const requests = Object.values(facts.recorded).flat().length;
  return [
    `- ${ORIGINAL.length} operations of the original, ${requests.toLocaleString("en")} recorded requests`,
    `- ${count((state) => state === SAME)} operations give the same answers to each recorded request`,
    `- ${count((state) => state !== SAME && state !== NOT_YET)} differ in some answers, with a reason`,
    `- ${count((state) => state === NOT_YET)} are not there yet: automations`,
    `- ${Object.keys(SOCKETS).length} sockets`,
  ].join("\n");
}

const SAME = "same";
const NOT_YET = "not yet";

/** All reasons in the order of their first use, and the numbers of the reasons of each operation. */
function reasonsIn({ recorded, differences }: Facts) {
  const reasons: string[] = [];
  const byOperation = new Map<string, Set<number>>();
  for (const [scenario, steps] of Object.entries(differences)) {
    for (const [step, own] of Object.entries(steps)) {
      const request = recorded[scenario]?.find(({ name }) => name === step)?.request ?? "";
      const operation = operationOf(request) ?? "";
      for (const reason of own) {
        if (!reasons.includes(reason)) reasons.push(reason);
        byOperation.set(operation, (byOperation.get(operation) ?? new Set()).add(reasons.indexOf(reason) + 1));
      }
    }
  }
  return { reasons, byOperation };
}

function stateOf({ ours }: Facts, operation: string, byOperation: ReadonlyMap<string, ReadonlySet<number>>): string {
  if (isNotYet(operation)) return NOT_YET;
  if (![...ours.keys()].some((own) => nameless(own) === nameless(operation)))
    throw new Error(`Sluice has no ${operation}`);
  const own = byOperation.get(operation);
  return own ? `differs: ${numbers(own)}` : SAME;
}

const numbers = (set: ReadonlySet<number> | undefined) => [...(set ?? [])].toSorted((a, b) => a - b).join(", ");

/** The names of a path's parameters may differ. */
const nameless = (operation: string) => operation.replaceAll(/\{\w+\}/g, "{}");

const code = (text: string) => `\`${text}\``;

function table(head: string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
