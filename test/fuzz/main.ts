/**
 * Sends hostile requests to a real server:
 * `npm run test:fuzz -- [--minutes 15] [--seed N] [--url http://host/api] [--only PATTERN] [--checks N]`.
 * Without a URL it starts a server of its own, on a new data folder. `--only` takes the operations whose method and path match;
 * `--checks` is how many lists and polls follow each request. It prints what was answered, the first request of each kind that
 * ended badly, and the memory of workerd; it fails if anything was found.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { writeOpenApi } from "../../scripts/build.ts";
import type { Finding } from "./oracle.ts";
import type { Document } from "./requests.ts";
import { run, type Report, type Scene } from "./run.ts";
import { Server } from "./server.ts";
import { playSockets } from "./sockets.ts";

/** The longest time of an answer. */
const PATIENCE_MS = 20_000;
/** One body of so many is sent in chunks, without its length. */
const CHUNKED_EVERY = 5;
/** A server that answers none of so many requests has ended. */
const SILENT_TRIES = 4;
const SETTLE_MS = 10_000;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "15" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    url: { type: "string" },
    only: { type: "string", default: "." },
    checks: { type: "string", default: "4" },
  },
});
const seed = Number(values.seed);
const end = Date.now() + Number(values.minutes) * MINUTE_MS;
await writeOpenApi();
const document = JSON.parse(readFileSync("dist/openapi.txt", "utf8")) as Document;
const server = values.url === undefined ? await Server.start() : undefined;
const url = server?.url ?? values.url ?? "";
console.log(`seed ${seed}, ${values.minutes} minutes, ${url}`);

let sent = 0;
/** Requests without an answer since the last one that had one. */
let silent = 0;
let told = 0;
/** The most memory that was seen, in MB. */
let highest = 0;
/** How often each kind of finding came; the first of each is told in full. */
const kinds = new Map<string, number>();
try {
  const report = await run(document, seed, send, {
    only: new RegExp(values.only),
    checks: Number(values.checks),
    intake: true,
    isOver: () => Date.now() >= end || silent >= SILENT_TRIES,
    between,
  });
  for (const [kind, count] of kinds) console.log(`${count} x ${kind}`);
  console.log(report.summary);
  if (server) {
    const most = highest;
    await settle();
    console.log(`workerd holds ${server.memory()} MB; at most it was seen to hold ${most} MB`);
  }
  process.exitCode = report.findings.length === 0 ? 0 : 1;
} finally {
  await server?.stop();
}

async function send(method: string, path: string, body?: string): Promise<{ status: number; text: string }> {
  sent += 1;
  const isChunked = body !== undefined && sent % CHUNKED_EVERY === 0;
  try {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body !== undefined && !isChunked && { body }),
      ...(isChunked && { body: new Blob([body]).stream(), duplex: "half" }),
    });
    const text = await response.text();
    silent = 0;
    return { status: response.status, text };
  } catch (error) {
    // No answer, or none in time, is reported as a fault of the server.
    silent += 1;
    return { status: 599, text: String(error instanceof Error ? (error.cause ?? error) : error) };
  }
}

/** Between two worlds: plays the sockets, and prints the new findings. */
async function between(report: Report, scene: Scene): Promise<void> {
  report.findings.push(...(await playSockets(url, scene)));
  for (const finding of report.findings.slice(told)) {
    const kind = kindOf(finding);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kinds.get(kind) === 1)
      console.log(`${finding.kind}: ${finding.request}\n    ${finding.answer}${causeOf(finding)}`);
  }
  told = report.findings.length;
  highest = Math.max(highest, server?.memory() ?? 0);
  if (report.requests % 600 === 0) console.error(`${report.summary}${server ? `; ${server.memory()} MB` : ""}`);
}

/** Sends small requests for a few seconds, for workerd frees the memory of large answers at later allocations. */
async function settle(): Promise<void> {
  for (const until = Date.now() + SETTLE_MS; Date.now() < until;) await send("POST", "/flows/count", "{}");
}

/** The line of the server's log about a fault, by the id of its request. */
function causeOf({ answer }: Finding): string {
  const id = /"request_id":"([^"]+)"/.exec(answer)?.[1];
  const line = id && server?.program.output.split("\n").find((one) => one.includes(id) && one.includes("stack"));
  return line ? `\n    ${line.slice(0, 900)}` : "";
}

/** What findings of one cause have in common: the operation, and the answer but for ids and numbers. */
function kindOf({ kind, operation, answer }: Finding): string {
  return `${kind} ${operation} ${answer.replaceAll(/[0-9a-f-]{36}|\d+/g, "…").slice(0, 60)}`;
}
