/** The ids of the things in the old database, which requests name. */
import { z } from "zod";
import type { Api } from "../../support/api.ts";
import { eventually } from "../../support/world.ts";
import { WAITING_TASK_RUNS } from "../fill/events.ts";

const Named = z.array(z.object({ id: z.string(), name: z.string() }));
const WithStates = z.array(z.object({ id: z.string() }));

const PAGE = 200;

/** Ids by name, oldest first. Things may have equal names. */
type Ids = [name: string, id: string][];

export interface Known {
  flows: Ids;
  flowRuns: Ids;
  deployments: Ids;
  taskRuns: Ids;
  variables: Ids;
  pools: Ids;
  /** Ids of some states of flow runs. */
  states: string[];
  /** When the database was full. Requests name no later time, so newer data does not change their answers. */
  end: string;
}

export async function readKnown(api: Api): Promise<Known> {
  await eventually(60, () => checkReports(api));
  const list = async (path: string, body: object = {}): Promise<Ids> => {
    const found: Ids = [];
    for (;;) {
      const page = Named.parse(await api.ask(path, { ...body, limit: PAGE, offset: found.length }));
      found.push(...page.map(({ name, id }): [string, string] => [name, id]));
      if (page.length < PAGE) return found.toSorted(([, one], [, other]) => (one < other ? -1 : 1));
    }
  };
  const flowRuns = await list("/flow_runs/filter", { sort: "ID_DESC" });
  const states: string[] = [];
  for (const [, id] of flowRuns.filter(([name]) => name.endsWith("-2"))) {
    const found = WithStates.parse(await api.ask(`/flow_run_states/?flow_run_id=${id}`));
    states.push(...found.slice(-1).map((state) => state.id));
  }
  return {
    flowRuns,
    states,
    flows: await list("/flows/filter"),
    deployments: await list("/deployments/filter"),
    taskRuns: await list("/task_runs/filter", { task_runs: { operator: "or_", flow_run_id: { is_null_: null } } }),
    variables: await list("/variables/filter"),
    pools: await list("/work_pools/filter"),
    end: new Date().toISOString(),
  };
}

/** Throws until the reports that waited are recorded. */
async function checkReports(api: Api): Promise<void> {
  const waiting = { flow_runs: { name: { any_: ["waiting"] } } };
  if ((await api.ask("/task_runs/count", waiting)) !== WAITING_TASK_RUNS) throw new Error("reports still wait");
}

/** The ids of the things whose names begin so. Throws if there are none. */
export function idsOf(ids: Ids, beginning: string): string[] {
  const found = ids.filter(([name]) => name.startsWith(beginning)).map(([, id]) => id);
  if (found.length === 0) throw new Error(`nothing is named ${beginning}…`);
  return found;
}

/** The first id of a thing whose name begins so. */
export function idOf(ids: Ids, beginning: string): string {
  return idsOf(ids, beginning)[0] ?? "";
}
