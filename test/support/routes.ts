/** Tables of routes, for tests of the common behaviour of all routes. */
import type { Route } from "#http/route";

/** An id in the form that each route accepts. No row has this id. */
export const NO_ID = "0199f7d4-3c3c-4c3c-8c3c-3c3c3c3c3c3c";

/** The path of a route below `/api`, with an id or a name for each parameter. */
export function pathOf(route: Route, { id = NO_ID, name = "some-name" } = {}): string {
  return route.path.replaceAll(/\{\w+:uuid\}/g, () => id).replaceAll(/\{\w+\}/g, () => name);
}

/** Each route with its method and path, as the title of its test. */
export const titled = (chosen: readonly Route[]) =>
  chosen.map((route) => [`${route.method} ${route.path}`, route] as const);
