/** A client of the API for the tests. */
import { z } from "zod";

const State = z.object({ id: z.string(), type: z.string(), name: z.string(), timestamp: z.string() });
const FlowRun = z.object({
  id: z.string(),
  name: z.string(),
  state_type: z.string(),
  state_id: z.string(),
  run_count: z.int(),
  end_time: z.string().nullable(),
});
const TaskRun = z.object({
  id: z.string(),
  name: z.string(),
  flow_run_id: z.string(),
  state_type: z.string(),
  state_name: z.string(),
  state_id: z.string(),
  run_count: z.int(),
});
const Log = z.object({ id: z.string(), message: z.string(), flow_run_id: z.string().nullable() });
const Event = z.object({ id: z.string(), event: z.string(), resource: z.record(z.string(), z.string()) });
const EventPage = z.object({ events: z.array(Event), total: z.int(), next_page: z.string().nullable() });

export type State = z.output<typeof State>;
export type FlowRun = z.output<typeof FlowRun>;
export type TaskRun = z.output<typeof TaskRun>;
export type Event = z.output<typeof Event>;

/** The maximum number of items in a page. */
const PAGE = 200;
/** The maximum wait for an answer. */
const ANSWER_MS = 30_000;

export class Api {
  readonly url: string;
  private readonly headers: Record<string, string>;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.url = url;
    this.headers = headers;
  }

  /** Sends a request. With a body, the method is POST. */
  send(path: string, body?: unknown): Promise<Response> {
    return fetch(path.startsWith("http") ? path : `${this.url}${path}`, {
      headers: { ...this.headers, ...(body !== undefined && { "content-type": "application/json" }) },
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    });
  }

  /** Sends a request. Its answer must be below 300. */
  async ask(path: string, body?: unknown): Promise<unknown> {
    const response = await this.send(path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  flowRun(id: string): Promise<FlowRun> {
    return this.ask(`/flow_runs/${id}`).then((answer) => FlowRun.parse(answer));
  }

  flowRuns(): Promise<FlowRun[]> {
    return this.pages("/flow_runs/filter", {}, FlowRun);
  }

  taskRuns(flowRunId: string): Promise<TaskRun[]> {
    return this.pages("/task_runs/filter", { flow_runs: { id: { any_: [flowRunId] } }, sort: "ID_DESC" }, TaskRun);
  }

  /** The number of a flow run's task runs that have ended. */
  countEndedTaskRuns(flowRunId: string): Promise<number> {
    const body = {
      flow_runs: { id: { any_: [flowRunId] } },
      task_runs: { state: { type: { any_: ["COMPLETED", "FAILED"] } } },
    };
    return this.ask("/task_runs/count", body).then((answer) => z.int().parse(answer));
  }

  flowRunStates(id: string): Promise<State[]> {
    return this.ask(`/flow_run_states/?flow_run_id=${id}`).then((answer) => z.array(State).parse(answer));
  }

  taskRunStates(id: string): Promise<State[]> {
    return this.ask(`/task_run_states/?task_run_id=${id}`).then((answer) => z.array(State).parse(answer));
  }

  /** The messages of the logs of a flow run and its task runs. */
  async logMessages(flowRunId: string): Promise<string[]> {
    const body = { logs: { flow_run_id: { any_: [flowRunId] } }, sort: "TIMESTAMP_ASC" };
    return (await this.pages("/logs/filter", body, Log)).map((log) => log.message);
  }

  /** All events of a filter, page by page. */
  async events(filter: Record<string, unknown>): Promise<Event[]> {
    let page = EventPage.parse(await this.ask("/events/filter", { filter, limit: 50 }));
    const found = [...page.events];
    while (page.next_page !== null) {
      page = EventPage.parse(await this.ask(page.next_page));
      found.push(...page.events);
    }
    return found;
  }

  private async pages<T extends z.ZodType>(path: string, body: object, Item: T): Promise<z.output<T>[]> {
    const found: z.output<T>[] = [];
    for (;;) {
      const page = z.array(Item).parse(await this.ask(path, { ...body, limit: PAGE, offset: found.length }));
      found.push(...page);
      if (page.length < PAGE) return found;
    }
  }
}

/** The number of occurrences of each value. */
export function tally(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
