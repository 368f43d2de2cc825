/** What a group of commands does: calls of the command line, and requests that prepare them. */
import type { Json, JsonObject } from "../conformance/json.ts";

/** A call of the command line. `{name}` in its texts stands for a value that an earlier step kept, and
 * `{folder}` for the folder in which it runs. */
export interface Call {
  /** The arguments of `prefect`, as they are typed in a shell. */
  line: string;
  /** How the original ends: with exit code 0, or with another one. */
  ends: "well" | "badly";
  stdin?: string;
  settings?: Record<string, string>;
  /** Ctrl-C is pressed when the output has this text. */
  until?: string;
  /** With `until`: instead of Ctrl-C, this request is sent, and the command ends by itself. */
  reaction?: Request;
  /** Ctrl-C is pressed after this time. The default is 180. */
  seconds?: number;
  /** The lines of the output may come in any order. */
  isUnordered?: boolean;
  /** What is not compared, because it depends on the moment at which the command looks. */
  hides?: RegExp;
  /** Names of values, each with the pattern whose first group finds the value in the output. */
  keep?: Record<string, RegExp>;
}

/** A request to the API, which must succeed. The id of its answer, or of the first item of a list, is kept under the name. */
export interface Request {
  keepIdAs?: string;
  /** The request is repeated until its answer, a page of a list, has this total. */
  total?: number;
  /** The server that gets the request. The default is the side's own. */
  to?: "here" | "spare";
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: JsonObject | JsonObject[];
}

export type Step = Call | Request;

/** The steps of one command group. Groups share a server, so they use their own names. */
export interface Group {
  name: string;
  steps: Step[];
}

type Options = Omit<Call, "line" | "ends">;

/** A call that the original answers with exit code 0. */
export function good(line: string, options: Options = {}): Call {
  return { line, ends: "well", ...options };
}

/** A call that the original refuses, or that ends by Ctrl-C. */
export function bad(line: string, options: Options = {}): Call {
  return { line, ends: "badly", ...options };
}

/** Waits until a server can find so many events of a resource. It writes events some time after they are sent. */
export function events(resource: string, total: number): Request {
  return { path: "/events/filter", body: { filter: { any_resource: { id: [resource] } } }, total };
}

/** Creates a row, and keeps its id. */
export function create(keepIdAs: string, path: string, body: JsonObject): Request {
  return { keepIdAs, path, body };
}

export function isCall(step: Step): step is Call {
  return "line" in step;
}

/** The arguments of a command line. Quotes keep spaces together, as in a shell. */
export function argumentsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(?:[^\s']|(?<=\S)'[^']*')+/g)].map(([text, quoted]) =>
    quoted === undefined ? text.replaceAll("'", "") : quoted,
  );
}

/** Puts the kept values into the texts of a value. */
export function fill<T extends Json>(value: T, kept: ReadonlyMap<string, string>): T {
  const filled = JSON.stringify(value).replaceAll(/\{(\w+)\}/g, (text, name: string) => kept.get(name) ?? text);
  return JSON.parse(filled);
}
