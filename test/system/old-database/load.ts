/** Newer data: runs of another flow, with logs and events, written while the old data is swept. */
import { z } from "zod";
import type { Api } from "../support/api.ts";

const WithId = z.object({ id: z.string() });
const CALLERS = 4;

/** Writes newer data for so long, and gives the number of runs. Throws if a request fails. */
export async function load(api: Api, milliseconds: number): Promise<number> {
  const { id: flowId } = WithId.parse(await api.ask("/flows/", { name: "newer" }));
  const end = Date.now() + milliseconds;
  let runs = 0;
  const call = async () => {
    while (Date.now() < end) {
      await writeRun(api, flowId);
      runs += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return runs;
}

async function writeRun(api: Api, flowId: string): Promise<void> {
  const { id } = WithId.parse(await api.ask("/flow_runs/", { flow_id: flowId, state: { type: "PENDING" } }));
  for (const type of ["RUNNING", "COMPLETED"]) await api.ask(`/flow_runs/${id}/set_state`, { state: { type } });
  const now = new Date().toISOString();
  await api.ask("/logs/", [{ name: "newer", level: 50, message: "needle 世界", timestamp: now, flow_run_id: id }]);
  const resource = { "prefect.resource.id": `newer.${id}` };
  await api.ask("/events", [{ occurred: now, event: "newer.written", resource, id: crypto.randomUUID() }]);
}
