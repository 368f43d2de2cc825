/** Plays the steps of a group on one server. */
import { setTimeout as sleep } from "node:timers/promises";
import { at, type Json, sortKeys } from "../conformance/json.ts";
import { argumentsOf, fill, isCall, type Call, type Group, type Request } from "./case.ts";
import type { Ended } from "./command-line.ts";
import { mask, NOTHING } from "./mask.ts";
import type { Side } from "./sides.ts";

/** The default of the time after which Ctrl-C is pressed. */
const SECONDS = 180;

/** A call, and what it did on one server. The output is masked. */
export interface Played extends Ended {
  call: Call;
}

/** Plays a group, and gives its steps in their order. */
export async function playGroup(group: Group, side: Side): Promise<Played[]> {
  const kept = new Map([["folder", side.folder]]);
  const played: Played[] = [];
  for (const step of group.steps) {
    played.push(isCall(step) ? await run(step, side, kept) : await send(step, side, kept));
  }
  return played;
}

async function run(call: Call, side: Side, kept: Map<string, string>): Promise<Played> {
  const { code, stdout, stderr } = await side.commandLine.run({
    arguments: argumentsOf(fill(call.line, kept)),
    stdin: call.stdin ?? "",
    folder: side.folder,
    settings: fill(call.settings ?? {}, kept),
    until: call.until ?? "",
    reaction: call.reaction === undefined ? null : filledRequest(call.reaction, side, kept),
    seconds: call.seconds ?? SECONDS,
  });
  for (const [name, pattern] of Object.entries(call.keep ?? {})) {
    const value = pattern.exec(stdout)?.[1];
    if (value !== undefined) kept.set(name, value);
  }
  const shown = (output: string) => {
    const kind = /^(--profile \w+ )?api /.test(call.line) ? sortedJson(output) : output;
    const masked = mask(kind.replaceAll(call.hides ?? NOTHING, "").replaceAll(side.noise, ""), {
      places: side.places,
      kept,
    });
    return call.isUnordered === true ? masked.split("\n").toSorted().join("\n") : masked;
  };
  return { call, code, stdout: shown(stdout), stderr: shown(stderr) };
}

/** Sends a request. The original must accept it. If Sluice does not, that is a difference. */
async function send(request: Request, side: Side, kept: Map<string, string>): Promise<Played> {
  const { url, method, body } = filledRequest(request, side, kept);
  const call: Call = { line: `${method} ${request.path}`, ends: "well" };
  for (const until = Date.now() + SECONDS * 1000; ; await sleep(200)) {
    const response = await fetch(url, {
      method,
      headers: { "content-type": "application/json" },
      ...(method !== "GET" && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    // The original's database is busy. The stock client sends such a request again, too.
    if (response.status === 503 && Date.now() < until) continue;
    if (!response.ok) return { call, code: response.status, stdout: text, stderr: "" };
    const answer: Json = text === "" ? null : JSON.parse(text);
    const id = at(answer, "id") ?? at(answer, "0.id");
    if (request.keepIdAs !== undefined && typeof id === "string") kept.set(request.keepIdAs, id);
    const isThere = request.total === undefined || at(answer, "total") === request.total;
    if (isThere) return { call, code: 0, stdout: "", stderr: "" };
    if (Date.now() > until) throw new Error(`${url}: ${text} has not the total ${request.total}`);
  }
}

/** `prefect api` shows an answer as it came. The order of the fields of an object has no meaning. */
function sortedJson(output: string): string {
  try {
    return JSON.stringify(sortKeys(JSON.parse(output)));
  } catch {
    return output;
  }
}

/** A request with the values that an earlier step kept. */
function filledRequest(request: Request, side: Side, kept: ReadonlyMap<string, string>) {
  const { method = "POST", to = "here", path, body = {} } = request;
  const server = to === "here" ? side.apiUrl : side.spareUrl;
  return { url: `${server}${fill(path, kept)}`, method, body: fill(body, kept) };
}
