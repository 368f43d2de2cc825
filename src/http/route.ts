/** A route as a value: its path on the wire, its schemas, its handler. Knows how to run itself, and nothing of Hono. */
import { z } from "zod";
import { readBody, toText } from "#http/body";
import { InvalidRequest, toDetails, type ValidationDetail } from "#http/errors";
import { Listing, toListingResponse } from "#http/listing";
import { illFormedPath } from "#http/well-formed";
import { ApiError, refused } from "#lib/api-error";
import { MAX_JSON_DEPTH, parseJson, parsePlainJson, TooDeep } from "#lib/json";
import { jsonProblem } from "#lib/json-problem";
import type { Tools } from "#tools";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What a handler gets: plain values, parsed, and its tools. */
export interface Input<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
  tools: Tools;
  request: Request;
}

interface Spec<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  method: Method;
  /** The path in full as on the wire; `{id:uuid}` takes only a UUID, `{name}` any one segment. */
  path: string;
  summary: string;
  /** Of the path's names; every `:uuid` name has its schema already. */
  params?: P;
  query?: Q;
  body?: B;
  /** Whether the body has no JSON of users', whose numbers are kept as they were sent: it is read the quicker way. */
  plainNumbers?: boolean;
  /** The status of a plain answer; 200 where it is not said. */
  status?: number;
  /** Another status that answers the same, as 200 where a 201 found the thing already there. */
  otherStatus?: number;
  /** What the answer looks like, for the OpenAPI document and the tests. */
  response?: z.ZodType;
  /** Left out of the OpenAPI document. */
  hidden?: boolean;
}

/** A route, ready to be served and described. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  readonly query: z.ZodType | undefined;
  readonly body: z.ZodType | undefined;
  readonly bodyRequired: boolean;
  readonly status: number;
  readonly otherStatus: number | undefined;
  readonly response: z.ZodType | undefined;
  readonly hidden: boolean;
  run(request: Request, params: Record<string, string>, tools: Tools): Promise<Response>;
}

/** An answer whose status or headers differ from the route's own. */
export class Reply {
  readonly value: unknown;
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(value: unknown, status: number, headers: Record<string, string> = {}) {
    this.value = value;
    this.status = status;
    this.headers = headers;
  }
}

/** Bodies of single fields, with the names of the fields. */
const embeddedBodies = new WeakMap<z.ZodType, readonly string[]>();

/**
 * A body made of single fields (FastAPI's embedded `Body` parameters): unknown keys are passed over, and no body at all
 * is an empty one. Bodies that are one model are `z.strictObject`s and have to be there.
 */
export function embedded<S extends z.core.$ZodLooseShape>(shape: S) {
  const body = z.object(shape);
  const names = Object.keys(shape);
  // FastAPI names what comes of a dependency, as the limit does, before the rest.
  embeddedBodies.set(body, [...names.filter((name) => name === "limit"), ...names.filter((name) => name !== "limit")]);
  return body;
}

/** Makes a route of its description and its handler. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  spec: Spec<P, Q, B>,
  handler: (input: Input<z.output<P>, z.output<Q>, z.output<B>>) => unknown,
): Route {
  const status = spec.status ?? 200;
  const isEmbedded = spec.body !== undefined && embeddedBodies.has(spec.body);
  const readJsonText = spec.plainNumbers ? parsePlainJson : parseJson;
  return {
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    query: spec.query,
    body: spec.body,
    bodyRequired: spec.body !== undefined && !(isEmbedded && spec.body.safeParse({}).success),
    status,
    otherStatus: spec.otherStatus,
    response: spec.response,
    hidden: spec.hidden ?? false,
    async run(request, params, tools) {
      const bytes = await readBody(request);
      const faults: Faults = { details: [], firstOnly: bytes.byteLength > LARGE_BODY_BYTES };
      const query = parse(spec.query, queryOf(request.url), "query", faults, false);
      const raw =
        spec.body === undefined
          ? undefined
          : parseText(toText(bytes), isEmbedded, request.headers.get("content-type"), (json) => readJsonText(json));
      const body = parseBody(spec.body, raw, faults, isEmbedded);
      if (faults.details.length > 0) throw new InvalidRequest(faults.details, raw);
      // The handler's own types come from the same schemas that were just applied.
      const input = { params: parseParams(spec.params, params), query, body, tools, request } as Input<
        z.output<P>,
        z.output<Q>,
        z.output<B>
      >;
      return toReply(await handler(input), status);
    },
  };
}

/** Content types of JSON. */
export const JSON_TYPE = /^\s*application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i;

/**
 * FastAPI: what is called anything but JSON is not read as JSON; so no form of a foreign page can change anything.
 * A body that is not said to be anything is.
 */
function parseText(text: string, isEmbedded: boolean, type: string | null, read: (json: string) => unknown): unknown {
  if (text === "") return isEmbedded ? {} : undefined;
  return type && !JSON_TYPE.test(type) ? text : parseBodyText(text, read);
}

function parseBodyText(text: string, read: (json: string) => unknown): unknown {
  let value: unknown;
  try {
    value = read(text);
  } catch (error) {
    if (error instanceof TooDeep) throw tooDeep(error);
    const { words, position } = jsonProblem(text);
    const loc = ["body", position];
    throw new InvalidRequest(
      [{ type: "json_invalid", loc, msg: "JSON decode error", input: {}, ctx: { error: words } }],
      text,
    );
  }
  const illFormed = illFormedPath(text, value);
  if (illFormed !== null) {
    const msg = "Input should be a valid string, unable to parse raw data as a unicode string";
    throw new InvalidRequest([{ type: "string_unicode", loc: ["body", ...illFormed], msg, input: null }], null);
  }
  return value;
}

/** The refusal of a body that nests too deep. The answer does not repeat the body, because a client may fail to read such depth. */
function tooDeep({ message, path }: TooDeep): InvalidRequest {
  const ctx = { max_depth: MAX_JSON_DEPTH };
  return new InvalidRequest([{ type: "json_too_deep", loc: ["body", ...path], msg: message, input: null, ctx }], null);
}

/** The faults that are found in a request. */
interface Faults {
  readonly details: ValidationDetail[];
  /** Whether a list ends at its first faulty item. */
  readonly firstOnly: boolean;
}

/**
 * Of a larger body not all faults are looked for: each of them takes half a kilobyte of memory, and a list of 8 MB may have
 * four million.
 */
const LARGE_BODY_BYTES = 256 * 1024;
const FIRST_ONLY: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

function parseBody(schema: z.ZodType | undefined, raw: unknown, faults: Faults, isEmbedded: boolean): unknown {
  if (schema === undefined) return undefined;
  const fields = embeddedBodies.get(schema);
  // FastAPI: of a body that is no object, every field is missing, those with a default too.
  if (fields && raw !== undefined && raw !== null && (typeof raw !== "object" || Array.isArray(raw))) {
    faults.details.push(
      ...fields.map((name) => ({ type: "missing", loc: ["body", name], msg: "Field required", input: null })),
    );
    return undefined;
  }
  // FastAPI: a body that is null is none.
  if (raw === undefined || raw === null) {
    if (isEmbedded) return parse(schema, {}, "body", faults, true);
    if (schema.safeParse(undefined).success) return parse(schema, undefined, "body", faults, false);
    faults.details.push({ type: "missing", loc: ["body"], msg: "Field required", input: null });
    return undefined;
  }
  return parse(schema, isEmbedded ? withoutNulls(raw) : raw, "body", faults, isEmbedded);
}

/** FastAPI: a single field of a body that is null is one that was left out. */
function withoutNulls(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

function parse(
  schema: z.ZodType | undefined,
  value: unknown,
  where: string,
  faults: Faults,
  isEmbedded: boolean,
): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value, faults.firstOnly ? FIRST_ONLY : undefined);
  if (parsed.success) return parsed.data;
  faults.details.push(...toDetails(parsed.error.issues, where, value, isEmbedded || where === "query"));
  return undefined;
}

function parseParams(schema: z.ZodType | undefined, params: Record<string, string>): unknown {
  if (schema === undefined) return params;
  const parsed = schema.safeParse(params);
  if (!parsed.success) throw refused(404, "Not Found");
  return parsed.data;
}

/** The query as an object; a name that comes twice is a list. */
function queryOf(url: string): Record<string, string | string[]> {
  const query = new Map<string, string | string[]>();
  for (const [name, value] of new URL(url).searchParams) {
    const before = query.get(name);
    if (before === undefined) query.set(name, value);
    else if (typeof before === "string") query.set(name, [before, value]);
    else before.push(value);
  }
  return Object.fromEntries(query);
}

function toReply(value: unknown, status: number): Response | Promise<Response> {
  if (value instanceof Response) return value;
  if (value instanceof Listing) return toListingResponse(value, { status });
  if (value instanceof Reply) return toResponse(value.value, value.status, value.headers);
  return toResponse(value, status, {});
}

function toResponse(value: unknown, status: number, headers: Record<string, string>): Response {
  if (status === 204) return new Response(null, { status, headers });
  return Response.json(value ?? null, { status, headers });
}

/** Whether an error is one that a client may read. */
export function isReadable(error: unknown): error is ApiError | InvalidRequest {
  return error instanceof ApiError || error instanceof InvalidRequest;
}
