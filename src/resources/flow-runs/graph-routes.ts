/** The routes of a flow run's graphs. */
import * as z from "zod";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import type { Micros } from "#lib/clock";
import { readDependencies, readGraph } from "#resources/flow-runs/graph";
import { DependencyResult, Graph } from "#resources/flow-runs/graph-schema";
import { Time } from "#wire/dates";

/** Prefect: `earliest_possible_datetime`, the first moment of the year 1. */
const EARLIEST: Micros = -62_135_596_800_000_000;

export const flowRunGraphRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/graph",
      summary: "Read the tasks of a flow run with what each waits for.",
      response: z.array(DependencyResult),
      errors: [400],
    },
    async ({ params, tools }) => new Listing(await readDependencies(tools, params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/graph-v2",
      summary: "Read the graph of a flow run's tasks and subflows, as far as they ended after a time.",
      query: z.object({ since: Time.default(EARLIEST) }),
      response: Graph,
      errors: [400],
    },
    ({ params, query, tools }) => readGraph(tools, params.id, query.since),
  ),
];
