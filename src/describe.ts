/** The OpenAPI document of all routes; bundled and run by the build, never by the Worker. */
import { describe } from "#http/openapi";
import { routes } from "#routes";

/** The document as JSON text. */
export function openApiDocument(version: string): string {
  return JSON.stringify(describe(routes, version));
}
