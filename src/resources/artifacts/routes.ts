/** The routes under /artifacts. */
import * as z from "zod";
import { artifactCollectionFilter, artifactFilter, namesArtifacts } from "#filters/artifacts";
import { type FilterBody, FilterFields, type Filters, toFilters, whereClause } from "#filters/joins";
import { ArtifactCollectionSort, ArtifactSort, orderBy } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { mapPortions } from "#lib/portions";
import { createArtifact, deleteArtifact, missing, updateArtifact } from "#resources/artifacts/change-artifacts";
import { Artifact, ArtifactCollection, ArtifactCreate, ArtifactUpdate } from "#resources/artifacts/schema";
import { artifacts, ArtifactStore, type CollectionRow } from "#resources/artifacts/store";
import { countRuns, listRuns } from "#resources/flow-runs/archived-lists";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { Limit, Offset } from "#wire/paging";

const { flow_runs, task_runs, flows, deployments } = FilterFields;
const beside = { flow_runs, task_runs, flows, deployments };

const store = (tools: Tools) => new ArtifactStore(tools);

/** A parsed body. On the wire the filter of artifacts and the filter of collections have the same name. */
type Body<Own extends "artifacts" | "artifact_collections"> = Omit<FilterBody, "work_pools" | "work_pool_queues"> & {
  artifacts?: Filters[Own];
};

const where = ({ workspaceId }: Tools, { artifacts: own, ...runs }: Body<"artifacts">) =>
  whereClause("artifacts", { ...toFilters(runs), artifacts: own }, workspaceId);

function wantedCollections({ workspaceId }: Tools, { artifacts: own, ...runs }: Body<"artifact_collections">) {
  const filters = { ...toFilters(runs), artifact_collections: own };
  return {
    where: whereClause("artifact_collections", filters, workspaceId),
    isOfArtifacts: namesArtifacts(filters),
  };
}

/** Whether filters ask for the runs of artifacts, which may be in the archive. The latest artifacts of all keys are in D1. */
const asksForRuns = (runs: FilterBody) => Boolean(runs.flow_runs ?? runs.task_runs ?? runs.flows ?? runs.deployments);

/** A collection as answers show it. */
function printCollection({ collection_id, collection_created, ...latest }: CollectionRow) {
  return {
    ...artifacts.print(latest),
    id: collection_id,
    created: printTime(collection_created),
    latest_id: latest.id,
  };
}

export const artifactRoutes = [
  route(
    {
      method: "POST",
      path: "/artifacts/",
      summary: "Create an artifact.",
      body: ArtifactCreate,
      status: 201,
      // Prefect: its document has 200, and its server answers 201.
      otherStatus: 200,
      response: Artifact,
    },
    async ({ body, tools }) => artifacts.print(await createArtifact(tools, body)),
  ),
  route(
    { method: "GET", path: "/artifacts/{id:uuid}", summary: "Read an artifact.", response: Artifact },
    async ({ params, tools }) => {
      const row = await store(tools).read(params.id);
      if (!row) throw missing();
      return artifacts.print(row);
    },
  ),
  route(
    {
      method: "GET",
      path: "/artifacts/{key}/latest",
      summary: "Read the latest artifact of a key.",
      params: z.object({ key: z.string() }),
      response: Artifact,
    },
    async ({ params, tools }) => {
      const row = await store(tools).readCollection(params.key);
      if (!row) throw missing();
      const { latest_id: _, ...shown } = printCollection(row);
      return shown;
    },
  ),
  ...listRoutes({
    path: "/artifacts",
    things: "artifacts",
    body: {
      limit: Limit,
      sort: ArtifactSort.default("ID_DESC"),
      offset: Offset,
      artifacts: artifactFilter.field,
      ...beside,
    },
    item: Artifact,
    list: (asked, { limit, offset }) =>
      listRuns(asked, "artifacts", async (own) => {
        const rows = await store(own).list(where(own, asked.body), asked.body.sort, limit, offset);
        return mapPortions(rows, (some) => some.map(artifacts.print));
      }),
    count: (asked) => countRuns(asked, "artifacts", (own) => store(own).count(where(own, asked.body))),
  }),
  ...listRoutes({
    path: "/artifacts/latest",
    things: "the latest artifacts",
    body: {
      limit: Limit,
      sort: ArtifactCollectionSort.default("ID_DESC"),
      offset: Offset,
      artifacts: artifactCollectionFilter.field,
      ...beside,
    },
    item: ArtifactCollection,
    list(asked, { limit, offset }) {
      const order = orderBy("artifact_collections", asked.body.sort);
      const read = async (own: Tools) => {
        const rows = await store(own).listCollections(wantedCollections(own, asked.body), order, limit, offset);
        return mapPortions(rows, (some) => some.map(printCollection));
      };
      return asksForRuns(asked.body) ? listRuns(asked, "artifacts", read) : read(asked.tools);
    },
    count(asked) {
      const read = (own: Tools) => store(own).countCollections(wantedCollections(own, asked.body));
      return asksForRuns(asked.body) ? countRuns(asked, "artifacts", read) : read(asked.tools);
    },
  }),
  route(
    {
      method: "PATCH",
      path: "/artifacts/{id:uuid}",
      summary: "Update an artifact.",
      body: ArtifactUpdate,
      status: 204,
    },
    ({ params, body, tools }) => updateArtifact(tools, params.id, body),
  ),
  route(
    { method: "DELETE", path: "/artifacts/{id:uuid}", summary: "Delete an artifact.", status: 204 },
    ({ params, tools }) => deleteArtifact(tools, params.id),
  ),
];
