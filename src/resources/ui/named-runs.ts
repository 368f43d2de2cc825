/** The filters of requests that name flow runs by a list of ids. */
import { type FilterBody, FilterFields } from "#filters/joins";

/** The body of filters that finds these flow runs, or their task runs. */
export function namedFlowRuns(ids: readonly string[]): FilterBody {
  return { flow_runs: FilterFields.flow_runs.parse({ id: { any_: ids } }) };
}
