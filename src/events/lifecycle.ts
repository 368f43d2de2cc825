/** The events of a run's life, as the original words them. Pure. */
import type { Event } from "#events/event";
import type { State } from "#wire/state";

/** What the event of a flow run's state change is made of. Times in microseconds. */
export interface FlowRunFacts {
  flow_run: {
    id: string;
    name: string;
    tags: string[];
    run_count: number;
    expected_start_time: number | null;
    start_time: number | null;
    parameters?: unknown;
  };
  flow: { id: string; name: string } | null;
  deployment: { id: string; name: string } | null;
  work_queue: { id: string; name: string } | null;
  work_pool: { id: string; name: string; type: string } | null;
  initial: State | null;
  validated: State;
}

/** The `prefect.flow-run.<State name>` event; its id is the state's, and it follows the event of the state before. */
export function flowRunStateEvent(facts: FlowRunFacts): Event {
  return { occurred: "", event: `prefect.flow-run.${facts.validated.name}`, resource: {}, related: [], payload: {}, id: facts.validated.id, follows: facts.initial?.id ?? null };
}
