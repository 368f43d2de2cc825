/**
 * Lists and counts of runs, where runs are in the archive. A request that names few flow runs gets the archived ones
 * too. All others read D1 only, and a header says which runs may be missing.
 */
import type { FilterBody, Filters } from "#filters/joins";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import { withArchiveEnd } from "#resources/flow-runs/archived-end";
import { listWithArchived, withArchived } from "#resources/flow-runs/archived-reads";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { TERMINAL_TYPES } from "#wire/state";

/** The header of an answer without archived runs, as for events: all runs that ended since this time were read. */
const ARCHIVE_HEADER = "x-sluice-archive";
/** How many flow runs a request may name so that they are looked for in the archive. */
const MAX_NAMED = 5;

type Root = "flow_runs" | "task_runs" | "artifacts";

/** The filters of a request. Only a request for artifacts has a filter of artifacts, or of collections. */
type Body = FilterBody & {
  artifacts?: Pick<NonNullable<Filters["artifacts"]>, "operator" | "flow_run_id"> | null | undefined;
};

/** A request for a list or a count. */
interface Asked {
  body: Body;
  tools: Tools;
  headers: Headers;
}

/** Counts flow runs, task runs or artifacts: with the archived ones if the filters name few flow runs, or with the header. */
export async function countRuns<T>(asked: Asked, root: Root, read: (tools: Tools) => Promise<T>): Promise<T> {
  const named = namedRuns(asked.body, root);
  return named ? withArchived(asked.tools, named, read, optionsOf(asked)) : withHeader(asked, read);
}

/** The same for a list of them. */
export async function listRuns<T>(
  asked: Asked,
  root: Root,
  read: (tools: Tools) => Promise<Portions<T>>,
): Promise<Portions<T>> {
  const named = namedRuns(asked.body, root);
  return named ? listWithArchived(asked.tools, named, read, optionsOf(asked)) : withHeader(asked, read);
}

const optionsOf = ({ body }: Asked) => ({
  withSubflows: Boolean(body.task_runs?.subflow_runs ?? body.flow_runs?.parent_flow_run_id),
});

/** Reads D1 only, and says which runs may be missing. */
async function withHeader<T>({ body, tools, headers }: Asked, read: (tools: Tools) => Promise<T>): Promise<T> {
  if (!tools.archive) return read(tools);
  const { answer, end } = await withArchiveEnd(tools, read);
  if (end !== null && mayMiss(body, end)) headers.set(ARCHIVE_HEADER, `partial; since=${printTime(end + 1)}`);
  return answer;
}

/**
 * The few flow runs that the filters name: the wanted runs, or their parents, or the flow runs of the wanted task runs. Null if the
 * filters may find other runs too.
 */
function namedRuns({ flow_runs, task_runs, artifacts }: Body, root: Root): string[] | null {
  const isOfAll = flow_runs?.operator === "and_";
  const parents = (isOfAll && flow_runs.parent_flow_run_id?.any_) || [];
  const lists = [isOfAll && flow_runs.id?.any_];
  if (root === "task_runs" && task_runs?.operator === "and_" && task_runs.flow_run_id?.is_null_ !== true)
    lists.push(task_runs.flow_run_id?.any_);
  if (root === "artifacts" && artifacts?.operator === "and_") lists.push(artifacts.flow_run_id?.any_);
  // The task runs of subflows are not in the view of the parents.
  if (root === "flow_runs" && !task_runs && parents.length > 0) lists.push(parents);
  const [ids] = lists.flatMap((list) => (list ? [list] : [])).toSorted((a, b) => a.length - b.length);
  return !ids || ids.length > MAX_NAMED || parents.length > MAX_NAMED ? null : [...new Set([...ids, ...parents])];
}

/** Whether archived runs may meet the filters. All archived runs have ended, the last of them at `end`. */
function mayMiss({ flow_runs }: FilterBody, end: Micros): boolean {
  if (flow_runs?.operator !== "and_") return true;
  const { state, end_time } = flow_runs;
  const types = state?.operator === "and_" && !state.type?.not_any_ ? state.type?.any_ : null;
  if (types && !types.some((type) => TERMINAL_TYPES.has(type))) return false;
  return end_time?.is_null_ !== true && (end_time?.after_ ?? -Infinity) <= end;
}
