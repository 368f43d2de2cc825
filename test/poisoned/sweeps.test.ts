import { expect, test, vi } from "vitest";
import { scheduleAnew } from "#services/silent-runs";
import { failExpiredPauses, markLateRuns } from "#services/overdue-runs";
import { later, MINUTE } from "../services/time";
import { aDeployment, aFlow, aFlowRun, propose, readFlowRun } from "../support/world";
import { BAD_JSON, poisoned } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

const at = (ahead: number) => new Date(Date.now() + ahead / 1000).toISOString();

/** Columns that a sweep may read, of the run, its current state and its deployment. */
const COLUMNS = [
  "flow_run.state_ids",
  "flow_run.empirical_policy",
  "flow_run.labels",
  "flow_run.created_by",
  "flow_run.parameters",
  "flow_run_state.state_details",
  "flow_run_state.data",
  "deployment.reliability",
  "deployment.concurrency_options",
];
const CASES = COLUMNS.flatMap((place) => Object.entries(BAD_JSON).map(([name, text]) => [place, name, text] as const));

interface Run {
  id: string;
  deploymentId: string;
}

async function aRun(state: Record<string, unknown>): Promise<Run> {
  const flow_id = await aFlow();
  const deployment = await aDeployment({ flow_id });
  const { id } = await aFlowRun({ flow_id, deployment_id: deployment.id, state });
  return { id, deploymentId: deployment.id };
}

/** Poisons a column of one run or of its deployment during a function call. */
function beside(run: Run, where: string, text: string, work: () => Promise<void>): Promise<void> {
  const [table = "", column = ""] = where.split(".");
  const id = table === "deployment" ? run.deploymentId : run.id;
  return poisoned({ table, column, id, ...(table === "flow_run_state" && { key: "flow_run_id" }) }, text, work);
}

test.for(CASES)("the expired pauses of other runs end although the %s of a run is %s", async ([where, , text]) => {
  const paused = async () => {
    const run = await aRun({ type: "RUNNING" });
    await propose(run.id, { type: "PAUSED", state_details: { pause_timeout: at(MINUTE) } });
    return run;
  };
  const [bad, healthy] = [await paused(), await paused()];
  await beside(bad, where, text, async () => {
    await later(2 * MINUTE, failExpiredPauses);
    expect((await readFlowRun(healthy.id)).state_type).toBe("FAILED");
  });
});

test.for(CASES)("other late runs are marked although the %s of a run is %s", async ([where, , text]) => {
  const due = () => aRun({ type: "SCHEDULED", state_details: { scheduled_time: at(-MINUTE) } });
  const [bad, healthy] = [await due(), await due()];
  await beside(bad, where, text, async () => {
    await later(0, markLateRuns);
    expect((await readFlowRun(healthy.id)).state_name).toBe("Late");
  });
});

test.for(CASES)("other stuck runs are rescheduled although the %s of a run is %s", async ([where, , text]) => {
  const stuck = async () => {
    const run = await aRun({ type: "SCHEDULED" });
    await propose(run.id, { type: "PENDING" });
    return run;
  };
  const [bad, healthy] = [await stuck(), await stuck()];
  await beside(bad, where, text, async () => {
    for (let minutes = 0; minutes <= 11; minutes += 1) await later(minutes * MINUTE, scheduleAnew);
    expect((await readFlowRun(healthy.id)).state_type).toBe("SCHEDULED");
  });
});
