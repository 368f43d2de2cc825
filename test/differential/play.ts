/** Plays a sequence on a server, and records the answer and the changed columns of each step. */
import { at, isObject, type Json, type JsonObject } from "../conformance/json.ts";
import { Labels, word } from "./labels.ts";
import type { Proposal, Sequence, Step } from "./sequence.ts";

export interface Server {
  /** Up to and including `/api`, without a slash at the end. */
  baseUrl: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The result of a step: the answer and the changed columns of the runs. */
export interface PlayedStep {
  status: number;
  answer?: Json;
  changed?: JsonObject;
}

export interface Played {
  steps: PlayedStep[];
  /** The end of a play: the runs that were not read since their last step, and the slots in use. */
  end: JsonObject;
}

const COLUMNS = [
  "state_type",
  "state_name",
  "run_count",
  "flow_run_run_count",
  "empirical_policy",
  "infrastructure_pid",
  "parent_task_run_id",
  "tags",
];
const TIMES = ["expected_start_time", "next_scheduled_start_time", "start_time", "end_time"];
/** Longer than a cache key may be. */
const LONG = "k".repeat(2001);

/** The flow of all plays on a server. */
const flows = new Map<string, string>();

interface Run {
  kind: "flow" | "task";
  id: string;
  label: string;
  /** The columns, as last read. */
  seen: JsonObject;
  totalRunTime: Json;
  /** The time of each state of the run. */
  moments: Json[];
  /** Whether the run may have changed since the last read. */
  isStale: boolean;
}

/** The play of one sequence on one server. */
export async function play(sequence: Sequence, server: Server): Promise<Played> {
  return new Play(server).run(sequence);
}

class Play {
  private readonly server: Server;
  private readonly labels = new Labels(`x${crypto.randomUUID().replaceAll("-", "").slice(0, 11)}x`);
  private readonly flows: Run[] = [];
  private readonly tasks: Run[] = [];
  private readonly parents = new Map<string, Run>();
  private readonly transitions = new Map<string, string>();
  private readonly made: JsonObject = {};
  private deploymentId: string | undefined;
  private limited = false;
  private tagIds: string[] = [];

  constructor(server: Server) {
    this.server = server;
  }

  async run(sequence: Sequence): Promise<Played> {
    const made = await this.makeWorld(sequence).catch(refusal);
    const steps: PlayedStep[] = [made];
    if (made.status !== 201) return { steps, end: {} };
    for (const [index, step] of sequence.steps.entries()) steps.push(await this.step(step, `t${index + 1}`));
    const end = await this.end();
    return { steps, end };
  }

  private async makeWorld(sequence: Sequence): Promise<PlayedStep> {
    const { suffix } = this.labels;
    const flow = await this.aFlow();
    for (const { tag, slots, old } of sequence.tags ?? []) {
      const { id } = old
        ? await this.make("/concurrency_limits/", { tag: `${tag}-${suffix}`, concurrency_limit: slots })
        : await this.make("/v2/concurrency_limits/", { name: `tag:${tag}-${suffix}`, limit: slots });
      this.tagIds.push(id);
    }
    if (sequence.limit || sequence.flows.some(({ deployed }) => deployed)) {
      this.deploymentId = await this.makeDeployment(flow, sequence.limit);
    }
    await this.makeFlowRun(flow, sequence.flows[0] ?? {});
    for (const spec of sequence.tasks ?? []) await this.makeTaskRun(spec);
    for (const spec of sequence.flows.slice(1)) await this.makeFlowRun(flow, spec);
    return { status: 201, changed: this.made };
  }

  /** The one flow of all plays. */
  private async aFlow(): Promise<string> {
    const { baseUrl } = this.server;
    const known = flows.get(baseUrl);
    if (known !== undefined) return known;
    const { id } = await this.make("/flows/", { name: "differential" });
    flows.set(baseUrl, id);
    return id;
  }

  private async makeDeployment(flow: string, limit: Sequence["limit"]): Promise<string> {
    const body: JsonObject = { name: `differential-${this.labels.suffix}`, flow_id: flow };
    if (limit) {
      this.limited = true;
      // Only a limit without a deployment can have 0 slots.
      if (limit.slots > 0) body["concurrency_limit"] = limit.slots;
      else {
        const name = `differential-${this.labels.suffix}`;
        body["global_concurrency_limit_id"] = (await this.make("/v2/concurrency_limits/", { name, limit: 0 })).id;
      }
      if (limit.strategy || limit.grace) {
        body["concurrency_options"] = {
          collision_strategy: limit.strategy ?? "ENQUEUE",
          ...(limit.grace ? { grace_period_seconds: limit.grace } : {}),
        };
      }
    }
    return (await this.make("/deployments/", body)).id;
  }

  private async makeFlowRun(flow: string, spec: Sequence["flows"][number]): Promise<void> {
    const parent = spec.parent === undefined ? undefined : pick(this.tasks, spec.parent);
    const body: JsonObject = {
      name: "differential",
      ...(spec.policy ? { empirical_policy: spec.policy } : {}),
      ...(parent ? { parent_task_run_id: parent.id } : {}),
      ...(spec.state ? { state: this.proposal(spec.state) } : {}),
    };
    this.labels.open(`made flow ${this.flows.length}`);
    const { id, row } =
      spec.deployed && this.deploymentId
        ? await this.make(`/deployments/${this.deploymentId}/create_flow_run`, body)
        : await this.make("/flow_runs/", { ...body, flow_id: flow });
    this.labels.close();
    const run = this.remember(this.flows, "flow", row);
    if (parent) {
      this.parents.set(run.id, parent);
      Object.assign(this.made, await this.changesOf([parent]));
    }
    if (!spec.pid) return;
    await this.ask("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "1234" });
    run.isStale = true;
  }

  private async makeTaskRun(spec: NonNullable<Sequence["tasks"]>[number]): Promise<void> {
    const number = String(this.tasks.length);
    this.labels.open(`made task ${number}`);
    const { row } = await this.make("/task_runs/", {
      name: "differential",
      task_key: `differential-${this.labels.suffix}`,
      dynamic_key: number,
      ...(spec.alone ? {} : { flow_run_id: this.flows[0]?.id }),
      ...(spec.policy ? { empirical_policy: spec.policy } : {}),
      ...(spec.tags ? { tags: spec.tags.map((tag) => `${tag}-${this.labels.suffix}`) } : {}),
      ...(spec.state ? { state: this.proposal(spec.state) } : {}),
    });
    this.labels.close();
    this.remember(this.tasks, "task", row);
  }

  private remember(among: Run[], kind: Run["kind"], row: JsonObject): Run {
    const label = `${kind} ${among.length}`;
    const id = word(row["id"]);
    this.labels.nameId(id, label);
    const run: Run = { kind, id, label, seen: {}, totalRunTime: 0, moments: [], isStale: false };
    among.push(run);
    this.made[label] = this.newsOf(run, row);
    return run;
  }

  private async step(step: Step, label: string): Promise<PlayedStep> {
    const run = step.task === undefined ? pick(this.flows, step.flow ?? 0) : pick(this.tasks, step.task);
    if (!run) return { status: 0 };
    this.labels.open(label);
    const { status, body } = await this.take(step, run);
    this.labels.close();
    const answer = this.answerOf(body);
    const runs = [run, this.parents.get(run.id)].filter((one) => one !== undefined);
    // If the answer says that nothing was written, the end of the play checks this.
    for (const one of runs) one.isStale = true;
    const changed = status === 201 ? await this.changesOf(runs) : {};
    return { status, ...(answer === null ? {} : { answer }), ...(Object.keys(changed).length > 0 ? { changed } : {}) };
  }

  private take(step: Step, run: Run): Promise<{ status: number; body: Json }> {
    const path = `/${run.kind}_runs/${run.id}`;
    const headers: Record<string, string> = {};
    if (step.client) headers["user-agent"] = `prefect/${step.client} (API 0.8.4)`;
    if (step.api) headers["x-prefect-api-version"] = step.api;
    switch (step.act) {
      case undefined: {
        const state = this.proposal(step.propose ?? { type: "RUNNING" });
        return this.ask("POST", `${path}/set_state`, { state, ...(step.force ? { force: true } : {}) }, headers);
      }
      case "resume":
        return this.ask("POST", `${path}/resume`, {}, headers);
      case "lose-lease":
        return this.loseLease(run);
      case "pid":
        return this.ask("PATCH", path, { infrastructure_pid: "4321" }, headers);
      default:
        return step.act satisfies never;
    }
  }

  private async loseLease(run: Run): Promise<{ status: number; body: Json }> {
    const { body } = await this.ask("GET", `/${run.kind}_runs/${run.id}`);
    const lease = at(body, "state.state_details.deployment_concurrency_lease_id") ?? null;
    if (lease === null) return { status: 0, body: null };
    return this.ask("POST", "/v2/concurrency_limits/decrement-with-lease", { lease_id: lease });
  }

  private proposal({ details, ...state }: Proposal): JsonObject {
    if (!details) return state;
    const { scheduled_time, pause_timeout, cache_expiration, cache_key, transition_id, task_parameters_id } = details;
    const time = (offset: number | undefined) => (offset === undefined ? undefined : this.labels.sent(offset));
    return {
      ...state,
      state_details: {
        ...details,
        scheduled_time: time(scheduled_time),
        pause_timeout: time(pause_timeout),
        cache_expiration: time(cache_expiration),
        cache_key: cache_key && `${cache_key === "long" ? LONG : cache_key}-${this.labels.suffix}`,
        transition_id: transition_id && this.transition(`transition ${transition_id}`),
        task_parameters_id: task_parameters_id && this.transition(`parameters ${task_parameters_id}`),
      },
    };
  }

  private transition(label: string): string {
    const known = this.transitions.get(label);
    if (known !== undefined) return known;
    const id = crypto.randomUUID();
    this.transitions.set(label, id);
    this.labels.nameId(id, label);
    return id;
  }

  private answerOf(body: Json): Json {
    if (!isObject(body)) return null;
    if (!("details" in body && "status" in body)) return this.labels.value(body);
    const { type: _type, ...details } = isObject(body["details"]) ? body["details"] : {};
    // The delay until a sent time depends on how long the play has taken.
    const { delay_seconds: delay } = details;
    if (typeof delay === "number") details["delay_seconds"] = Math.ceil(delay / 60) * 60;
    return { ...body, details: this.labels.value(details), state: this.labels.state(body["state"]) };
  }

  /** The columns of these runs that changed since they were last read. */
  private async changesOf(runs: readonly Run[]): Promise<JsonObject> {
    const changed: JsonObject = {};
    for (const run of runs) {
      const { body } = await this.ask("GET", `/${run.kind}_runs/${run.id}`);
      run.isStale = false;
      const news = isObject(body) ? this.newsOf(run, body) : { gone: true };
      if (Object.keys(news).length > 0) changed[run.label] = news;
    }
    return changed;
  }

  /** The changed columns of a row. For a new row, all columns that are not empty. */
  private newsOf(run: Run, row: JsonObject): JsonObject {
    const view = this.columnsOf(run, row);
    const isNews = ([key, value]: [string, Json | undefined]) => {
      const before = run.seen[key];
      return before === undefined ? !saysNothing(value) : JSON.stringify(value) !== JSON.stringify(before);
    };
    const news = Object.entries(view).filter(isNews);
    run.seen = view;
    return Object.fromEntries(news);
  }

  private columnsOf(run: Run, row: JsonObject): JsonObject {
    const view: JsonObject = { state: this.labels.state(row["state"]) };
    for (const key of COLUMNS) if (row[key] !== undefined) view[key] = this.labels.value(inOrder(row[key]));
    for (const key of TIMES) view[key] = this.labels.time(row[key]);
    const moment = at(row, "state.timestamp") ?? null;
    if (run.moments.at(-1) !== moment) run.moments.push(moment);
    const growth = this.labels.growth(run.totalRunTime, row["total_run_time"], run.moments);
    view["total_run_time"] = growth === "same" ? (run.seen["total_run_time"] ?? 0) : growth;
    run.totalRunTime = row["total_run_time"] ?? null;
    const policy = view["empirical_policy"];
    if (isObject(policy)) {
      view["empirical_policy"] = Object.fromEntries(
        Object.entries(policy).flatMap(([key, value]) =>
          value === null || value === 0 ? [] : [[key, inOrder(value)]],
        ),
      );
    }
    return view;
  }

  private async end(): Promise<JsonObject> {
    const end: JsonObject = await this.changesOf([...this.flows, ...this.tasks].filter(({ isStale }) => isStale));
    if (this.limited && this.deploymentId) {
      const { body } = await this.ask("GET", `/deployments/${this.deploymentId}`);
      end["slots"] = at(body, "global_concurrency_limit.active_slots") ?? null;
    }
    const tags: Json[] = [];
    for (const id of this.tagIds) {
      const { body } = await this.ask("GET", `/v2/concurrency_limits/${id}`);
      tags.push(at(body, "active_slots") ?? null);
    }
    if (tags.length > 0) end["tags"] = tags;
    return end;
  }

  /** Creates a row and gives it. A refusal ends the play. */
  private async make(path: string, body: JsonObject): Promise<{ id: string; row: JsonObject }> {
    const answer = await this.ask("POST", path, body);
    const id = at(answer.body, "id");
    if (typeof id !== "string") throw new Refusal(answer.status, { [path]: this.labels.value(answer.body) });
    return { id, row: isObject(answer.body) ? answer.body : {} };
  }

  private async ask(
    method: string,
    path: string,
    body?: JsonObject,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Json }> {
    const response = await this.server.fetch(`${this.server.baseUrl}${path}`, {
      method,
      headers: { ...(body ? { "content-type": "application/json" } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    return { status: response.status, body: parse(text) };
  }
}

/** The server refused to create a row. This ends the play. */
class Refusal extends Error {
  readonly step: PlayedStep;

  constructor(status: number, answer: JsonObject) {
    super(`${status} ${JSON.stringify(answer)}`);
    this.step = { status, answer };
  }
}

function refusal(error: unknown): PlayedStep {
  if (error instanceof Refusal) return error.step;
  throw error;
}

/** Sorts a list that is a set in the original. */
function inOrder(value: Json | undefined): Json | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value.toSorted() : value;
}

function saysNothing(value: Json | undefined): boolean {
  return !value || (typeof value === "object" && Object.keys(value).length === 0);
}

/** The run of this number, modulo the number of runs. */
function pick(runs: readonly Run[], number: number): Run | undefined {
  return runs[number % runs.length];
}

function parse(text: string): Json {
  if (text === "") return null;
  try {
    const body: Json = JSON.parse(text);
    return body;
  } catch {
    return { text };
  }
}
