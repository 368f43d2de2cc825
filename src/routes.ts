/** The table of contents: the routes of every resource. */
import type { Route } from "#http/route";
import { variableRoutes } from "#resources/variables/routes";

export const routes: readonly Route[] = [...variableRoutes];
