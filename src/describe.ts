/** Makes the OpenAPI document from the routes and the schemas that validate. The build bundles and runs this file. The Worker does not. */
import * as z from "zod";
import type { ErrorStatus, Route } from "#http/route";
import { routes } from "#routes";
import ERROR_SCHEMAS from "./http/error-schemas.json";

type Json = Record<string, unknown>;

/** The description of an error. Its body has one of two fields (`Refusal`), or the fault of each part of the request (`InvalidRequest`). */
const errorAnswer = (description: string, ...schemas: (keyof typeof ERROR_SCHEMAS)[]) => ({
  description,
  content: {
    "application/json": { schema: { anyOf: schemas.map((name) => ({ $ref: `#/components/schemas/${name}` })) } },
  },
});

const ERROR_ANSWERS: Record<ErrorStatus | "default", Json> = {
  400: errorAnswer("The request cannot be carried out as it stands.", "Refusal"),
  403: errorAnswer("The request asks for what nobody may do.", "Refusal"),
  404: errorAnswer("The request names a thing that does not exist.", "Refusal"),
  409: errorAnswer("The request contradicts what is stored: a name is taken, or a thing is in use.", "Refusal"),
  410: errorAnswer("The lease has ended.", "Refusal"),
  422: errorAnswer("The request is not valid.", "InvalidRequest", "Refusal"),
  423: errorAnswer("The slots are taken. `Retry-After` says in how many seconds to ask again.", "Refusal"),
  default: errorAnswer(
    "What any request may be answered: 400 for a version of the API that is too old, 401 without the key, 403 and 415 for pages of other sites, 413 for a body that is too large, 500, and 503 with `Retry-After`.",
    "Refusal",
  ),
};

/** The document of all routes as JSON text. */
export function openApiDocument(version: string): string {
  return JSON.stringify(describe(routes, version));
}

/** Builds the document of some routes. Every schema describes the data on the wire (`io: "input"`). */
export function describe(routes: readonly Route[], version: string): Json {
  const components: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    if (route.hidden) continue;
    const path = `/api${route.path.replaceAll(":uuid}", "}")}`;
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route, components);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Sluice", version, description: "The Prefect 3 REST API, on Cloudflare." },
    paths,
    components: { schemas: { ...components, ...ERROR_SCHEMAS }, responses: ERROR_ANSWERS },
  };
}

function operation(route: Route, components: Json): Json {
  const inPath = [...route.path.matchAll(/\{(\w+)(:uuid)?\}/g)].map(([, name, uuid]) => ({
    name,
    in: "path",
    required: true,
    schema: uuid ? { type: "string", format: "uuid" } : { type: "string" },
  }));
  const tag = route.path.split("/")[1] || "root";
  return {
    operationId: route.operationId,
    tags: [tag],
    summary: route.summary,
    parameters: [
      ...inPath,
      ...parametersOf(route.query, "query", components),
      ...parametersOf(route.requestHeaders, "header", components),
    ],
    ...(route.body && {
      requestBody: {
        required: route.bodyRequired,
        content: { "application/json": { schema: schemaOf(route.body, components) } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        [route.status, route.otherStatus]
          .filter((status) => status !== undefined)
          .map((status) => [status, answerOf(route, components)]),
      ),
      ...Object.fromEntries(
        [...route.errors, "default"].map((status) => [status, { $ref: `#/components/responses/${status}` }]),
      ),
    },
  };
}

function answerOf(route: Route, components: Json): Json {
  if (!route.response) return { description: "Done" };
  return { description: "Done", content: { "application/json": { schema: schemaOf(route.response, components) } } };
}

function parametersOf(parameters: z.ZodType | undefined, place: "query" | "header", components: Json): Json[] {
  if (!parameters) return [];
  const schema = schemaOf(parameters, components) as { properties?: Json; required?: string[] };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: schema.required?.includes(name) ?? false,
    schema: property,
  }));
}

/** A schema as JSON Schema. A named schema is added to the components once. */
function schemaOf(schema: z.ZodType, components: Json): Json {
  const {
    $defs,
    $schema: _,
    ...whole
  } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
  }) as Json & { $defs?: Json };
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) =>
        key === "$ref" && typeof inner === "string"
          ? [key, inner.replace("#/$defs/", "#/components/schemas/")]
          : [key, rename(inner)],
      ),
    );
  };
  for (const [name, definition] of Object.entries($defs ?? {})) components[name] ??= rename(definition);
  const id = schema.meta()?.id;
  if (!id) return rename(whole) as Json;
  components[id] ??= rename(whole);
  return { $ref: `#/components/schemas/${id}` };
}
