/** The OpenAPI document, made of the routes and the very schemas that validate. Runs at build time only. */
import { z } from "zod";
import type { Route } from "#http/route";

type Json = Record<string, unknown>;

/** Builds the document. Every schema is described as the wire has it (`io: "input"`). */
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
    components: { schemas: components },
  };
}

function operation(route: Route, components: Json): Json {
  const uuids = [...route.path.matchAll(/\{(\w+)(:uuid)?\}/g)].map(([, name, uuid]) => ({
    name,
    in: "path",
    required: true,
    schema: uuid ? { type: "string", format: "uuid" } : { type: "string" },
  }));
  const tag = route.path.split("/")[1] || "root";
  return {
    tags: [tag],
    summary: route.summary,
    parameters: [...uuids, ...queryParameters(route.query, components)],
    ...(route.body && {
      requestBody: {
        required: route.bodyRequired,
        content: { "application/json": { schema: schemaOf(route.body, components) } },
      },
    }),
    responses: Object.fromEntries(
      [route.status, route.otherStatus]
        .filter((status) => status !== undefined)
        .map((status) => [status, answerOf(route, components)]),
    ),
  };
}

function answerOf(route: Route, components: Json): Json {
  if (!route.response) return { description: "Done" };
  return { description: "Done", content: { "application/json": { schema: schemaOf(route.response, components) } } };
}

function queryParameters(query: z.ZodType | undefined, components: Json): Json[] {
  if (!query) return [];
  const schema = schemaOf(query, components) as { properties?: Json; required?: string[] };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    in: "query",
    required: schema.required?.includes(name) ?? false,
    schema: property,
  }));
}

/** A schema as JSON Schema; named ones go to the components once. */
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
