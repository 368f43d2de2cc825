/** The artifacts in the graph of a flow run. */
import { type SQL, sql } from "drizzle-orm";
import { isLatest, ofFlowRuns } from "#db/artifacts";
import { readOptionalJson } from "#db/database";
import { artifact } from "#db/tables/artifact";
import type { Micros } from "#lib/clock";
import { printTime } from "#wire/dates";

/** Prefect: PREFECT_API_MAX_FLOW_RUN_GRAPH_ARTIFACTS. */
const MAX_ARTIFACTS = 10_000;
/** How long the data of progress are: a number. A graph may have ten thousand of them. */
const MAX_PROGRESS_BYTES = 200;

/** An artifact of a graph. Without a task run it belongs to the flow run itself. */
export interface GraphArtifactRow {
  id: string;
  created: Micros;
  key: string | null;
  type: string;
  task_run_id: string | null;
  is_latest: 0 | 1;
  data: string | null;
}

/**
 * Selects the artifacts of a flow run, the oldest first. Prefect: without those that are the result of a run or have no type, and with the
 * data of progress only. Longer data is no progress, and is left out.
 */
export function artifactsOf(workspaceId: string, flowRunId: string): SQL {
  return sql`select a.id, a.created, a.key, a.type, a.task_run_id,
      a.key is null or ${isLatest(workspaceId, "a")} as is_latest,
      iif(a.type = 'progress' and octet_length(a.data) <= ${MAX_PROGRESS_BYTES}, a.data, null) as data
    from ${artifact} a where ${ofFlowRuns(workspaceId, sql`(select ${flowRunId} as value)`, "a")} and a.type <> 'result'
    order by a.id limit ${MAX_ARTIFACTS}`;
}

/** An artifact as the answer shows it. */
export function printArtifact({ id, created, key, type, is_latest, data }: GraphArtifactRow) {
  return {
    id,
    created: printTime(created),
    key,
    type,
    is_latest: is_latest === 1,
    data: readOptionalJson<unknown>(data),
  };
}
