/** Plays the steps of a group on one server. */
import { at, type Json } from "../conformance/json.ts";
import { argumentsOf, fill, isCall, type Call, type Group, type Request } from "./case.ts";
import type { Ended } from "./command-line.ts";
import { mask } from "./mask.ts";
import type { Side } from "./sides.ts";

/** The default of the time after which Ctrl-C is pressed. */
const SECONDS = 60;

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
    seconds: call.seconds ?? SECONDS,
    is_process: side.isByProcess,
  });
  for (const [name, pattern] of Object.entries(call.keep ?? {})) {
    const value = pattern.exec(stdout)?.[1];
    if (value !== undefined) kept.set(name, value);
  }
  const shown = (output: string) => {
    const masked = mask(output, { places: side.places, kept });
    return call.isUnordered === true ? masked.split("\n").toSorted().join("\n") : masked;
  };
  return { call, code, stdout: shown(stdout), stderr: shown(stderr) };
}

/** Sends a request. The original must accept it. If Sluice does not, that is a difference. */
async function send(request: Request, side: Side, kept: Map<string, string>): Promise<Played> {
  const { method = "POST", to = "here", path, body } = request;
  const url = to === "here" ? side.apiUrl : side.spareUrl;
  const response = await fetch(`${url}${fill(path, kept)}`, {
    method,
    ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(fill(body, kept)) }),
  });
  const text = await response.text();
  if (request.keepIdAs !== undefined && response.ok) {
    const answer: Json = JSON.parse(text);
    const id = at(answer, "id");
    if (typeof id === "string") kept.set(request.keepIdAs, id);
  }
  const call: Call = { line: `${method} ${path}`, ends: "well" };
  const stdout = response.ok ? "" : text;
  return { call, code: response.ok ? 0 : response.status, stdout, stderr: "" };
}
