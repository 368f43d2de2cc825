/** Maps errors to responses in Prefect's shapes. */
import type * as z from "zod";
import { ApiError, integrityConflict, refused } from "#lib/api-error";
import { isObject } from "#lib/json-value";
import type { RefusalParams } from "#wire/scalars";
import { log } from "#lib/log";

/** One entry of `exception_detail`, as pydantic writes it. */
export interface ValidationDetail {
  type: string;
  loc: (string | number)[];
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

/** A request that its schema refused. The response is a 422 in pydantic's shape. */
export class InvalidRequest extends Error {
  readonly details: ValidationDetail[];
  readonly body: unknown;

  constructor(details: ValidationDetail[], body: unknown) {
    super("Invalid request received.");
    this.details = details;
    this.body = body;
  }
}

type Issue = z.core.$ZodIssue;
type Path = (string | number)[];

/** The maximum number of faults in a response. */
const MAX_ISSUES = 1000;

/** Converts Zod's issues to pydantic's details. In an `embedded` body, a missing top-level field has the input null. */
export function toDetails(
  issues: readonly Issue[],
  where: string,
  input: unknown,
  embedded: boolean,
): ValidationDetail[] {
  return issues
    .slice(0, MAX_ISSUES)
    .flatMap((issue) => detailsOf(issue, where, [], input, embedded))
    .slice(0, MAX_ISSUES);
}

function detailsOf(issue: Issue, where: string, prefix: Path, input: unknown, embedded: boolean): ValidationDetail[] {
  const path: Path = [...prefix, ...issue.path.map((key) => (typeof key === "symbol" ? String(key) : key))];
  const loc = [where, ...path];
  const value = valueAt(input, path);
  const params = paramsOf(issue);
  const detail = (type: string, msg: string, ctx?: Record<string, unknown>): ValidationDetail[] => [
    { type, loc, msg, input: params.input ?? value ?? null, ...(ctx && { ctx }) },
  ];
  const said = params.type === undefined ? undefined : detail(params.type, issue.message, params.ctx);
  if (value === undefined && issue.code !== "unrecognized_keys" && !isPresent(issue, params)) {
    const parent = valueAt(input, path.slice(0, -1));
    const missing = embedded && path.length === 1 ? null : (parent ?? null);
    return [{ type: "missing", loc, msg: "Field required", input: missing }];
  }
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.slice(0, MAX_ISSUES).map((key) => ({
        type: "extra_forbidden",
        loc: [...loc, key],
        msg: "Extra inputs are not permitted",
        input: valueAt(input, [...path, key]) ?? null,
      }));
    case "invalid_type":
      return said ?? detail(...wordsOfType(issue.expected));
    case "invalid_value":
      return detail(issue.values.length === 1 ? "literal_error" : "enum", `Input should be ${choices(issue.values)}`, {
        expected: choices(issue.values),
      });
    case "too_small":
    case "too_big":
      return detail(...outOfBounds(issue));
    case "invalid_format":
      return detail(
        "string_pattern_mismatch",
        issue.pattern ? `String should match pattern '${issue.pattern}'` : issue.message,
      );
    case "invalid_union":
      return (
        said ??
        unionDetails(issue, params.branches, path, (inner) => detailsOf(inner, where, path, input, embedded)) ??
        detail("union_tag_invalid", issue.message || "Input should match one of the allowed shapes")
      );
    case "invalid_key":
    case "invalid_element":
      return issue.issues.flatMap((inner) => detailsOf(inner, where, path, input, embedded));
    case "not_multiple_of":
      return detail("multiple_of", `Input should be a multiple of ${issue.divisor}`);
    case "custom":
      return said ?? detail("value_error", `Value error, ${issue.message}`, { error: {} });
    default: {
      const unknown: never = issue;
      throw new Error(`unknown issue ${JSON.stringify(unknown)}`);
    }
  }
}

/** The type, the context and the input that a schema gives an issue. */
function paramsOf(issue: Issue): Partial<RefusalParams> & { branches?: readonly string[] } {
  return "params" in issue && isObject(issue.params) ? issue.params : {};
}

/** Whether the issue keeps its own type if the value is absent. An absent object is reported as missing. */
function isPresent(issue: Issue, { type }: Partial<RefusalParams>): boolean {
  return issue.code === "custom" && type !== undefined && type !== "dict_type";
}

/**
 * For a union with named branches: the issues of each branch in order, under the name of the branch, as in pydantic.
 * For any other union: the issues of the branch with the deepest issue. Null if no branch was tried.
 */
function unionDetails(
  issue: Extract<Issue, { code: "invalid_union" }>,
  names: readonly string[] | undefined,
  path: Path,
  toDetails: (inner: Issue) => ValidationDetail[],
): ValidationDetail[] | null {
  if (names) {
    const depth = path.length + 1;
    return issue.errors.flatMap((errors, index) =>
      errors.flatMap(toDetails).map((told) => ({
        ...told,
        loc: [...told.loc.slice(0, depth), names[index] ?? index, ...told.loc.slice(depth)],
      })),
    );
  }
  const [best] = issue.errors.filter((errors) => errors.length > 0).toSorted((a, b) => depth(b) - depth(a));
  if (!best) return null;
  return best.flatMap(toDetails);
}

const depth = (issues: readonly Issue[]): number => Math.max(...issues.map((issue) => issue.path.length));

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[key] : undefined,
    input,
  );
}

/** The type, the message and the context of a detail. */
type Words = [type: string, message: string, ctx?: Record<string, unknown>];

const WORDS_OF_TYPE: Partial<Record<string, Words>> = {
  number: ["float_type", "Input should be a valid number"],
  int: ["int_type", "Input should be a valid integer"],
  boolean: ["bool_type", "Input should be a valid boolean"],
  array: ["list_type", "Input should be a valid list"],
  record: ["dict_type", "Input should be a valid dictionary"],
  object: ["model_attributes_type", "Input should be a valid dictionary or object to extract fields from"],
};

function wordsOfType(expected: string): Words {
  return WORDS_OF_TYPE[expected] ?? [`${expected}_type`, `Input should be a valid ${expected}`];
}

function choices(values: readonly unknown[]): string {
  const quoted = values.map((value) => `'${String(value)}'`);
  const last = quoted.pop();
  return quoted.length === 0 ? String(last) : `${quoted.join(", ")} or ${last}`;
}

function outOfBounds(issue: Extract<Issue, { code: "too_small" | "too_big" }>): Words {
  const isSmall = issue.code === "too_small";
  const bound = Number(isSmall ? issue.minimum : issue.maximum);
  const [type, words, key] = isSmall ? ["too_short", "at least", "min_length"] : ["too_long", "at most", "max_length"];
  const count = (noun: string) => `${words} ${bound} ${noun}${bound === 1 ? "" : "s"}`;
  if (issue.origin === "string")
    return [`string_${type}`, `String should have ${count("character")}`, { [key]: bound }];
  if (issue.origin === "array" || issue.origin === "set")
    return [type, `List should have ${count("item")} after validation`, { [key]: bound }];
  const [than, exclusive, inclusive] = isSmall ? ["greater", "gt", "ge"] : ["less", "lt", "le"];
  return issue.inclusive === false
    ? [`${than}_than`, `Input should be ${than} than ${bound}`, { [exclusive]: bound }]
    : [`${than}_than_equal`, `Input should be ${than} than or equal to ${bound}`, { [inclusive]: bound }];
}

const CONSTRAINT = /UNIQUE constraint failed|FOREIGN KEY constraint failed/;
const OVERLOADED = /overloaded|too many requests queued|Network connection lost|storage caused object to be reset/i;

/**
 * The platform's messages for values that are too large. Each message has the smallest request, in bytes, that can be its cause. In D1
 * a value has at most 2 MB, a statement 100 KB and 100 parameters (https://developers.cloudflare.com/d1/platform/limits/).
 */
const TOO_LARGE: readonly [RegExp, number][] = [
  // SQLite (https://sqlite.org/limits.html): a value or a statement, "D1_ERROR: string or blob too big: SQLITE_TOOBIG".
  [/SQLITE_TOOBIG|string or blob too big|statement too long/, 100_000],
  // SQLite: too many values, levels or parts for a statement. Long lists in a filter cause them.
  [/too many SQL variables|Expression tree is too large|too many terms in compound SELECT/, 1000],
  // V8: a text of more than 512 MB, or more arguments or levels than the stack can hold.
  [/^Invalid string length$|^Maximum call stack size exceeded$/, 100_000],
];

/** The response repeats a refused request of at most this size. For a larger request the response repeats only the short inputs. */
const MAX_REPEATED_BYTES = 64 * 1024;
const MAX_REPEATED_CHARACTERS = 1_000;

function isShort(input: unknown): boolean {
  return typeof input === "string" ? input.length <= MAX_REPEATED_CHARACTERS : typeof input !== "object";
}

/**
 * The response to an error. A bug is logged with the request's id, and the response has only that id. `sentBytes` is
 * the size of the request. Always gives a response: an error that cannot be printed is a bug, too.
 */
export function toResponse(error: unknown, requestId: string, sentBytes = 0): Response {
  try {
    return replyTo(error, requestId, sentBytes);
  } catch (unprintable) {
    return replyTo(unprintable, requestId, 0);
  }
}

function replyTo(error: unknown, requestId: string, sentBytes: number): Response {
  if (error instanceof InvalidRequest) {
    const isRepeated = sentBytes <= MAX_REPEATED_BYTES;
    const exception_detail = isRepeated
      ? error.details
      : error.details.map((one) => ({ ...one, input: isShort(one.input) ? one.input : null }));
    const request_body = isRepeated ? (error.body ?? null) : null;
    return Response.json({ exception_message: error.message, exception_detail, request_body }, { status: 422 });
  }
  const { body, status, headers } = error instanceof ApiError ? error : faultOf(error, requestId, sentBytes);
  return Response.json(body, { status, headers });
}

/** The refusal for an error of the platform or a bug. */
function faultOf(error: unknown, requestId: string, sentBytes: number): ApiError {
  const message = error instanceof Error ? error.message : String(error);
  if (CONSTRAINT.test(message)) return integrityConflict();
  log({ requestId }, "error", "a request failed", { error });
  const named = (exception_message: string) => ({ exception_message, request_id: requestId });
  if (OVERLOADED.test(message)) return new ApiError(503, named("Service Unavailable"), { "Retry-After": "1" });
  if (TOO_LARGE.some(([said, bytes]) => sentBytes >= bytes && said.test(message)))
    return refused(413, "The request is too large to be carried out. Ask for less at once.");
  return new ApiError(500, named("Internal Server Error"));
}
