/** Runs that somebody took and nobody began: after a while without a sign of life they are scheduled anew. */
import { sql } from "drizzle-orm";
import { asList, jsonValue } from "#db/json-column";
import { deployment } from "#db/tables/deployment";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import type { ServicesSettings } from "#env";
import type { Micros } from "#lib/clock";
import { onlyWhile } from "#orchestration/only-while";
import { CoreFlowPolicy } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { andNoneOf, forEachRun, inRounds } from "#services/by-workspace";
import { listeningSince } from "#services/listening";
import { isSilentSince, lastHeardOf, SIGNS, type Signs } from "#services/signs-of-life";
import type { Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** How many runs are seen to at a time, and how often in one turn; what is left comes with the next. */
const AT_ONCE = 200;
const ROUNDS = 5;
const SECOND: Micros = 1_000_000;
/** The messages of the states that this service has made begin so; by them it counts. */
const SCHEDULED_ANEW = "Scheduled anew (";

type Settings = ServicesSettings["lazarus"];

interface StuckRun extends Signs {
  workspace_id: string;
  id: string;
  state_id: string;
  /** How often it was scheduled anew so far. */
  times: number;
}

/**
 * Puts the runs of deployments and pools that are stuck in Pending back to Scheduled, for whoever asks next; those that were
 * given back often enough crash. Silence is counted from when this server began to listen. A run that has gone on since it was found is left alone.
 */
export async function scheduleAnew(tools: Tools): Promise<void> {
  const settings = tools.settings.services.lazarus;
  const now = tools.clock();
  const listening = await listeningSince(tools, "lazarus", now);
  await inRounds<StuckRun>(
    { atOnce: AT_ONCE, rounds: ROUNDS },
    (before) => tools.db.rows(selectStuck(settings, { now, listening, before })),
    (stuck) =>
      forEachRun(tools, stuck, async (own, run) => {
        const policy = onlyWhile(({ initial }) => initial?.id === run.state_id, CoreFlowPolicy);
        await setFlowRunState(own, run.id, proposalFor(run, settings, now), { policy });
      }),
  );
}

function proposalFor(run: StuckRun, { most_times: most }: Settings, now: Micros): StateProposal {
  const seconds = Math.round((now - lastHeardOf(run, now)) / SECOND);
  const why = `the run was Pending, and nothing was heard of it for ${seconds} seconds.`;
  if (run.times >= most)
    return { type: "CRASHED", message: `Given up after being scheduled anew ${most} times: ${why}` };
  return {
    type: "SCHEDULED",
    message: `${SCHEDULED_ANEW}${run.times + 1} of ${most}): ${why}`,
    state_details: { scheduled_time: now },
  };
}

/** When the runs are looked at, since when this server listens, and which runs this turn has seen. */
interface Look {
  now: Micros;
  listening: Micros;
  before?: readonly StuckRun[];
}

/** The pending runs of which nothing was heard for so long. Whoever has named a run's infrastructure answers for it for longer. */
export function selectStuck(settings: Settings, { now, listening, before = [] }: Look) {
  const hasWaited = (seconds: number) => {
    const since = now - seconds * SECOND;
    return listening <= since ? isSilentSince(since, now) : sql`false`;
  };
  return sql`select r.workspace_id, r.id, r.state_id, ${SIGNS}, (
      select count(*) from json_each(${asList(sql.raw("r.state_ids"))}) j cross join ${flow_run_state} s on s.id = j.value
      where s.type = 'SCHEDULED' and instr(s.message, ${SCHEDULED_ANEW}) = 1
    ) as times
    from ${flow_run} r indexed by flow_run_live
    left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
    where r.end_time is null and r.next_scheduled_start_time is null and r.state_type = 'PENDING'
      and (r.deployment_id is not null or r.work_queue_id is not null)
      and case when r.infrastructure_pid is null
        then ${hasWaited(settings.pending_seconds)} else ${hasWaited(settings.infrastructure_pending_seconds)} end
      and coalesce(${jsonValue("d.reliability", "$.lazarus")}, 1)
      ${andNoneOf("r.id", before)}
    limit ${AT_ONCE}`;
}
