/** The events by which the stock client reports task runs. */
import { BEGIN, EXACT, idAt, MINUTE, nested, range, SECOND, timeAt, turn, UNICODE } from "./made.ts";

/** A flow run whose task runs are reported. */
export interface Reporting {
  id: string;
  name: string;
  flowId: string;
}

export interface SentEvent {
  occurred: string;
  event: string;
  resource: Record<string, string>;
  related: Record<string, string>[];
  payload: Record<string, unknown>;
  id: string;
  follows: string | null;
}

type Life = readonly [string, ...string[]];

/** The names of the states of a task run, in order. */
const LIVES: readonly [Life, ...Life[]] = [
  ["Pending", "Running", "Completed"],
  ["Pending", "Running", "Failed"],
  ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"],
  ["Pending", "Running", "Completed"],
  ["Pending", "Running"],
  ["Pending", "NotReady"],
  ["Pending", "Running", "Crashed"],
  ["Pending", "Cached"],
];

const TYPES: Record<string, string> = {
  AwaitingRetry: "SCHEDULED",
  Retrying: "RUNNING",
  NotReady: "PENDING",
  Cached: "COMPLETED",
};
const typeOf = (name: string) => TYPES[name] ?? name.toUpperCase();

/** Reports `count` task runs of a flow run, of which each takes a result of the one before. */
export function reportTaskRuns(run: Reporting | null, count: number, startsAt: number): SentEvent[] {
  let before: string | undefined;
  return range(count).flatMap((index) => {
    const begins = BEGIN + startsAt + index * 7 * SECOND;
    const taskRunId = idAt(begins);
    const events = eventsOf(run, taskRunId, index, begins, before);
    before = taskRunId;
    return events;
  });
}

function eventsOf(run: Reporting | null, id: string, index: number, begins: number, before?: string): SentEvent[] {
  const names = turn(LIVES, index);
  const name = `${run?.name ?? "alone"}-task-${index}`;
  const events: SentEvent[] = [];
  for (const [place, stateName] of names.entries()) {
    const occurred = timeAt(begins + place * 1500, index);
    const type = typeOf(stateName);
    const from = names[place - 1];
    const runs = names.slice(0, place + 1).filter((each) => typeOf(each) === "RUNNING").length;
    const hasEnded = ["COMPLETED", "FAILED", "CRASHED"].includes(type);
    events.push({
      occurred,
      event: `prefect.task-run.${stateName}`,
      resource: {
        "prefect.resource.id": `prefect.task-run.${id}`,
        "prefect.resource.name": name,
        "prefect.run-count": String(runs),
        "prefect.state-message": stateName === "Failed" ? UNICODE : "",
        "prefect.state-name": stateName,
        "prefect.state-timestamp": occurred.replace("Z", "+00:00"),
        "prefect.state-type": type,
        "prefect.orchestration": "client",
      },
      related: run ? relatedTo(run) : [],
      payload: {
        intended: { from: from === undefined ? null : typeOf(from), to: type },
        initial_state: from === undefined ? null : stateOf(from, begins),
        validated_state: { ...stateOf(stateName, begins), data: stateName === "Completed" ? nested(3) : null },
        task_run: {
          name,
          task_key: `task-${index % 5}`,
          dynamic_key: String(index),
          empirical_policy: { max_retries: 2, retry_delay_seconds: 1, retries: 2, retry_delay: 1 },
          tags: index % 3 ? ["reported"] : ["reported", UNICODE],
          labels: { index, share: EXACT.cents },
          task_inputs: { x: before === undefined ? [] : [{ input_type: "task_run", id: before }] },
          run_count: runs,
          flow_run_run_count: 1,
          expected_start_time: timeAt(begins),
          ...(runs > 0 && { start_time: timeAt(begins + 1500, index) }),
          ...(hasEnded && { end_time: occurred }),
          total_run_time: hasEnded ? 1.5 * (place - 1) : 0,
        },
      },
      id: idAt(begins + place * 1500),
      follows: events.at(-1)?.id ?? null,
    });
  }
  return events;
}

function stateOf(name: string, begins: number): Record<string, unknown> {
  const scheduled = { scheduled_time: timeAt(begins + MINUTE), retriable: true };
  const state_details = name === "AwaitingRetry" ? scheduled : name === "Completed" ? { untrackable_result: true } : {};
  return { type: typeOf(name), name, message: name === "Failed" ? UNICODE : "", state_details };
}

/** The resources that the stock client names beside a task run. */
export function relatedTo({ id, name, flowId }: Reporting): Record<string, string>[] {
  return [
    {
      "prefect.resource.id": `prefect.flow-run.${id}`,
      "prefect.resource.role": "flow-run",
      "prefect.resource.name": name,
    },
    {
      "prefect.resource.id": `prefect.flow.${flowId}`,
      "prefect.resource.role": "flow",
      "prefect.resource.name": "old-reported",
    },
    { "prefect.resource.id": "prefect.tag.prod", "prefect.resource.role": "tag" },
  ];
}
