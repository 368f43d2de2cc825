/** A route as a value: its path on the wire, its schemas, its handler. A route does not depend on Hono. */
import * as z from "zod";
import { readBody, readJsonBody, toText } from "#http/body";
import { InvalidRequest, toDetails, type ValidationDetail } from "#http/errors";
import { jsonResponse, Listing, toListingResponse } from "#http/listing";
import { refused } from "#lib/api-error";
import { parseJson, parsePlainJson } from "#lib/json";
import type { Tools } from "#tools";
import { canonicalUuid, isUuid } from "#wire/ids";
import { Limit } from "#wire/paging";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The input of a handler: parsed values, and tools. */
export interface Input<Params, Query, Body, RequestHeaders = unknown> {
  params: Params;
  query: Query;
  requestHeaders: RequestHeaders;
  body: Body;
  tools: Tools;
  request: Request;
  /** Headers that the answer gets besides its own. */
  headers: Headers;
}

/** The parameters of a path: `/flows/{id:uuid}` has `id`. */
export type ParamsOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Record<Name extends `${infer Id}:uuid` ? Id : Name, string> & ParamsOf<Rest>
  : unknown;

interface Spec<
  Path extends string,
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  H extends z.ZodObject,
> {
  method: Method;
  /** The whole path on the wire, without `/api`. `{id:uuid}` matches only a UUID, `{name}` matches any one segment. */
  path: Path;
  summary: string;
  /** Transforms the parameters of the path. Without it they are texts, and a UUID has its stored spelling. */
  params?: P;
  query?: Q;
  /** The headers that the route reads, by their names in small letters. */
  requestHeaders?: H;
  body?: B;
  /** True if no field of the body has JSON of users. Numbers in such JSON are kept as sent, so parsing is slower. */
  plainNumbers?: boolean;
  /** The status of the response, unless the handler returns a `Reply`. 200 by default. */
  status?: number;
  /** Another status of the same response: 200 in place of 201 if the object existed before, or one that only Prefect's document names. */
  otherStatus?: number;
  /** The schema of the answer, for the OpenAPI document. */
  response?: z.ZodType;
  /** The statuses of the route's refusals. A 404 for a path with a parameter and a 422 for a query or a body are added to them. */
  errors?: readonly ErrorStatus[];
  /** Left out of the OpenAPI document. */
  hidden?: boolean;
}

/** A status of a refusal by the route itself. Statuses that any route can give are not in the list. */
export type ErrorStatus = 400 | 403 | 404 | 409 | 410 | 422 | 423;

type AnySpec = Spec<string, z.ZodType, z.ZodType, z.ZodType, z.ZodObject>;
type Described = "method" | "path" | "summary" | "query" | "requestHeaders" | "body" | "otherStatus" | "response";

/** A route, ready to be served and described. */
export interface Route extends Readonly<Pick<AnySpec, Described>> {
  /** The route's name in the OpenAPI document, made from the path and the method. */
  readonly operationId: string;
  readonly bodyRequired: boolean;
  readonly status: number;
  /** In ascending order. */
  readonly errors: readonly ErrorStatus[];
  readonly hidden: boolean;
  run(request: Request, params: Record<string, string>, tools: Tools): Promise<Response>;
}

/** A response with another status than the route's own. */
export class Reply {
  readonly value: unknown;
  readonly status: number;

  constructor(value: unknown, status: number) {
    this.value = value;
    this.status = status;
  }
}

/** The bodies that `embedded` made, each with the names of its fields. */
const embeddedBodies = new WeakMap<z.ZodType, readonly string[]>();

/**
 * Makes a body of single fields (FastAPI's embedded `Body` parameters). Unknown keys are ignored, and an absent body is
 * an empty object. A body that is one model is a `z.strictObject`, and is required.
 */
export function embedded<S extends z.core.$ZodLooseShape>(shape: S) {
  const body = z.object(shape);
  const names = Object.keys(shape);
  // FastAPI lists the fields of dependencies first, and this limit is a dependency.
  const isDependency = (name: string) => shape[name] === Limit;
  embeddedBodies.set(body, [...names.filter(isDependency), ...names.filter((name) => !isDependency(name))]);
  return body;
}

/** Makes a route from its description and its handler. */
export function route<
  Path extends string,
  Q extends z.ZodType,
  B extends z.ZodType,
  P extends z.ZodType = z.ZodType<ParamsOf<Path>>,
  H extends z.ZodObject = z.ZodObject,
>(
  spec: Spec<Path, P, Q, B, H>,
  handler: (input: Input<z.output<P>, z.output<Q>, z.output<B>, z.output<H>>) => unknown,
): Route {
  const status = spec.status ?? 200;
  const isEmbedded = spec.body !== undefined && embeddedBodies.has(spec.body);
  const readJsonText = (json: string) => (spec.plainNumbers ? parsePlainJson(json) : parseJson(json));
  return {
    ...spec,
    operationId: operationIdOf(spec.path, spec.method),
    bodyRequired: spec.body !== undefined && !spec.body.safeParse(isEmbedded ? {} : undefined).success,
    status,
    errors: errorsOf(spec),
    hidden: spec.hidden ?? false,
    async run(request, texts, tools) {
      const bytes = await readBody(request);
      const faults: Faults = { details: [], firstOnly: bytes.byteLength > LARGE_BODY_BYTES };
      const params = parseParams(spec, texts, faults);
      const query = parse(spec.query, queryOf(request.url), "query", faults, false);
      const requestHeaders =
        spec.requestHeaders && parse(spec.requestHeaders, Object.fromEntries(request.headers), "header", faults, false);
      // FastAPI: an absent body of single fields is an empty object.
      const text = spec.body === undefined ? "" : toText(bytes);
      const nothing = isEmbedded ? {} : undefined;
      const raw = text === "" ? nothing : readJsonBody(text, request.headers.get("content-type"), readJsonText);
      const body = parseBody(spec.body, raw, faults);
      if (faults.details.length > 0) throw new InvalidRequest(faults.details, raw);
      // The types of the handler's input come from the schemas that were just applied.
      const headers = new Headers();
      const input = { params, query, requestHeaders, body, tools, request, headers } as Input<
        z.output<P>,
        z.output<Q>,
        z.output<B>,
        z.output<H>
      >;
      const answer = await toReply(await handler(input), status);
      for (const [name, value] of headers) answer.headers.set(name, value);
      return answer;
    },
  };
}

/** Prefect: `flow_runs__id__get`, the text that FastAPI adds to the name of the handler. */
function operationIdOf(path: string, method: Method): string {
  return `${path.slice(1).replaceAll(":uuid", "").replaceAll(/\W/g, "_")}_${method.toLowerCase()}`;
}

function errorsOf({ path, query, body, errors: own }: Pick<AnySpec, "path" | "query" | "body" | "errors">) {
  const errors = new Set(own);
  if (path.includes("{")) errors.add(404);
  if (query || body) errors.add(422);
  return [...errors].toSorted((a, b) => a - b);
}

/** The faults that are found in a request. */
interface Faults {
  readonly details: ValidationDetail[];
  /** Whether the check of a list stops at the first faulty item. */
  readonly firstOnly: boolean;
}

/**
 * In a larger body the check of a list stops at the first faulty item: a fault takes 500 bytes of memory, and 8 MB may
 * have four million faults.
 */
const LARGE_BODY_BYTES = 256 * 1024;
const FIRST_ONLY: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

/** FastAPI: a body that is null is the same as no body. */
function parseBody(schema: z.ZodType | undefined, raw: unknown, faults: Faults): unknown {
  const names = schema && embeddedBodies.get(schema);
  if (names) return parseFields(schema, names, raw ?? {}, faults);
  const body = raw ?? undefined;
  const isMissing = body === undefined && schema?.safeParse(undefined).success === false;
  if (!isMissing) return parse(schema, body, "body", faults, false);
  faults.details.push(missing("body"));
  return undefined;
}

/** FastAPI: a field that is null counts as absent. If the body is not an object, all fields are missing, even fields with a default. */
function parseFields(schema: z.ZodType, names: readonly string[], body: unknown, faults: Faults): unknown {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) {
    const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
    return parse(schema, given, "body", faults, true);
  }
  faults.details.push(...names.map((name) => missing("body", name)));
  return undefined;
}

const missing = (...loc: string[]): ValidationDetail => ({ type: "missing", loc, msg: "Field required", input: null });

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
  faults.details.push(...toDetails(parsed.error.issues, where, value, isEmbedded || where !== "body"));
  return undefined;
}

/** Parses the parameters of a path. Throws 404 for an id that is not a UUID. */
function parseParams(
  { path, params: schema }: { path: string; params?: z.ZodType },
  texts: Record<string, string>,
  faults: Faults,
): unknown {
  const params = Object.entries(texts).map(([name, text]) => {
    if (!path.includes(`{${name}:uuid}`)) return [name, text];
    if (!isUuid(text)) throw refused(404, "Not Found");
    return [name, canonicalUuid(text)];
  });
  return schema
    ? parse(schema, Object.fromEntries(params), "path", faults, false)
    : (Object.fromEntries(params) as unknown);
}

/** The query as an object. A name that occurs twice has a list of values. */
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
  if (value instanceof Listing) return toListingResponse(value, status);
  if (value instanceof Reply) return toReply(value.value, value.status);
  return status === 204 ? new Response(null, { status }) : jsonResponse(value ?? null, status);
}
