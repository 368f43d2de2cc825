/** Existing rows, so that generated requests can name existing rows. */
import { buildBlocks } from "./blocks.ts";
import { expand } from "./hostile.ts";

/** Sends a request to the server, within workerd or over HTTP. */
export type Send = (method: string, path: string, body?: string) => Promise<{ status: number; text: string }>;

/** The kinds of rows that requests name: by id, or by name if the API uses names. */
export type Kind =
  | "flow"
  | "flow_name"
  | "flow_run"
  | "flow_run_state"
  | "task_run"
  | "task_run_state"
  | "deployment"
  | "deployment_name"
  | "schedule"
  | "version"
  | "pool_name"
  | "pool"
  | "queue"
  | "queue_name"
  | "worker_name"
  | "limit"
  | "tag"
  | "limit_v2"
  | "limit_v2_name"
  | "lease"
  | "artifact"
  | "artifact_key"
  | "saved_search"
  | "block_type"
  | "block_type_slug"
  | "block_schema"
  | "block_schema_checksum"
  | "block_document"
  | "block_document_name"
  | "variable"
  | "variable_name"
  | "input_key"
  | "page_token";

/** The mark of a row has one digit. Marks of sizes and depths have more digits. */
const THING = /«(\w+):(\d)»/g;
const KEPT = 12;
/** The number of worlds at once. Each pool has an object with its own database, and users do not have hundreds of pools. */
const MAX_WORLDS = 5;

/** The fields of an answer that the builder reads. */
type Made = Partial<Record<string, string>>;

/** The newest known rows, by kind. */
export class World {
  private readonly things = new Map<string, string[]>();
  private readonly send: Send;
  private turn = 0;
  /** The pools and flows of the existing worlds, the oldest first. */
  private readonly made: string[][] = [];
  private words = 0;

  constructor(send: Send) {
    this.send = send;
  }

  /** Adds a row to the known rows. */
  add(kind: Kind, value: unknown): void {
    if (typeof value !== "string") return;
    const known = this.things.get(kind) ?? [];
    if (!known.includes(value)) this.things.set(kind, [...known, value].slice(-KEPT));
  }

  /** The known row of a kind by its number, 0 for the newest. `fresh` gives a new name. */
  one(kind: string, index: number): string {
    if (kind === "fresh") return `fresh${(this.words += 1)}`;
    const known = this.things.get(kind) ?? [];
    return known.at(-1 - (index % Math.max(1, known.length))) ?? "none-such";
  }

  /**
   * The body with ids and names instead of their marks, such as the id of a flow for `«flow:3»`. Marks of large values
   * stay.
   */
  named(text: string): string {
    return text.replaceAll(THING, (_, kind: string, of: string) =>
      JSON.stringify(this.one(kind, Number(of))).slice(1, -1),
    );
  }

  /** The path with values instead of all its marks. */
  path(text: string): string {
    const named = text.replaceAll(THING, (_, kind: string, of: string) =>
      encodeURIComponent(this.one(kind, Number(of)).toWellFormed()),
    );
    // `fetch` removes these two segments from a URL. The request would then have another path.
    return expand(named).replaceAll(/\/\.{1,2}(?=\/|$|\?)/g, "/dots");
  }

  /** Creates one row of each kind. Each call creates new rows, because the earlier ones may have been deleted. */
  async build(): Promise<void> {
    this.turn += 1;
    if (this.made.length === MAX_WORLDS) await this.remove(this.made.shift() ?? []);
    const name = `world-${this.turn}`;
    const flow = await this.make(
      "/flows/",
      { name: `${name}-flow`, tags: ["world"] },
      { id: "flow", name: "flow_name" },
    );
    const pool = await this.make(
      "/work_pools/",
      { name: `${name}-pool`, type: "process" },
      { id: "pool", name: "pool_name", default_queue_id: "queue" },
    );
    this.made.push([`/work_pools/${pool["name"]}`, `/flows/${flow["id"]}`]);
    const queue = await this.make(
      `/work_pools/${pool["name"]}/queues`,
      { name: `${name}-queue` },
      { id: "queue", name: "queue_name" },
    );
    const deployment = await this.make(
      "/deployments/",
      {
        name: `${name}-deployment`,
        flow_id: flow["id"],
        work_pool_name: pool["name"],
        work_queue_name: queue["name"],
        concurrency_limit: 2,
        parameters: { n: 1 },
        schedules: [{ schedule: { interval: 86_400 }, slug: "daily" }],
      },
      { id: "deployment", name: "deployment_name" },
    );
    await this.find(`/deployments/${deployment["id"]}/schedules`, { id: "schedule" });
    await this.find(`/deployments/${deployment["id"]}/versions`, { id: "version" });
    const served = await this.make(
      "/deployments/",
      { name: `${name}-served`, flow_id: flow["id"] },
      { id: "deployment", name: "deployment_name" },
    );
    await this.make(`/deployments/${served["id"]}/create_flow_run`, {}, { id: "flow_run", state_id: "flow_run_state" });
    await this.make(
      `/deployments/${deployment["id"]}/create_flow_run`,
      {},
      { id: "flow_run", state_id: "flow_run_state" },
    );
    const run = await this.make(
      "/flow_runs/",
      { flow_id: flow["id"], state: { type: "RUNNING" }, tags: ["world"] },
      { id: "flow_run", state_id: "flow_run_state" },
    );
    await this.make(
      "/task_runs/",
      { flow_run_id: run["id"], task_key: "task", dynamic_key: "0", state: { type: "RUNNING" } },
      { id: "task_run", state_id: "task_run_state" },
    );
    await this.make(`/flow_runs/${run["id"]}/input`, { key: `${name}-key`, value: '"v"' }, {});
    this.add("input_key", `${name}-key`);
    await this.make(
      "/variables/",
      { name: `world_${this.turn}`, value: { n: 1 } },
      { id: "variable", name: "variable_name" },
    );
    await this.make(
      "/artifacts/",
      { key: `world-${this.turn}`, type: "progress", data: 1.5, flow_run_id: run["id"] },
      { id: "artifact", key: "artifact_key" },
    );
    await this.make("/concurrency_limits/", { tag: `${name}-tag`, concurrency_limit: 3 }, { id: "limit", tag: "tag" });
    const limit = await this.make(
      "/v2/concurrency_limits/",
      { name: `${name}-limit`, limit: 5 },
      { id: "limit_v2", name: "limit_v2_name" },
    );
    const held = await this.make(
      "/v2/concurrency_limits/increment-with-lease",
      { names: [limit["name"]], slots: 1, lease_duration: 120 },
      {},
    );
    this.add("lease", held["lease_id"]);
    await this.make(`/work_pools/${pool["name"]}/workers/heartbeat`, { name: `${name}-worker` }, {});
    this.add("worker_name", `${name}-worker`);
    await this.make(
      "/logs/",
      [{ name: "world", level: 20, message: "m", timestamp: "2026-01-01T00:00:00Z", flow_run_id: run["id"] }],
      {},
    );
    this.made.at(-1)?.push(await buildBlocks((...made) => this.make(...made), name));
    await this.make(
      "/saved_searches/",
      { name: `${name}-search`, filters: [{ object: "flow_run", property: "a", type: "b", operation: "c", value: 1 }] },
      { id: "saved_search" },
      "PUT",
    );
    const page = await this.make("/events/filter", { limit: 1 }, {});
    this.add("page_token", /page-token=([^&]+)/.exec(String(page["next_page"]))?.[1]);
  }

  /** Adds the ids and names of a created row, from the answer to its creation. */
  learn(path: string, status: number, text: string): void {
    if (status !== 201 && status !== 200) return;
    const made = MADE.find(([pattern]) => pattern.test(path));
    if (!made || text.length > 100_000) return;
    const thing = JSON.parse(text) as Made;
    this.addAll(thing, made[1]);
    // A pool is deleted with its world, because each pool has an object, and lists of pools call all objects.
    if ("default_queue_id" in made[1]) this.made.at(-1)?.push(`/work_pools/${encodeURIComponent(thing["name"] ?? "")}`);
  }

  /** Deletes the rows at these paths. Requests may have deleted some of the rows already. */
  private async remove(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const { status, text } = await this.send("DELETE", path);
      if (status >= 500) throw new Error(`DELETE ${path} answered ${status} ${text.slice(0, 500)}`);
    }
  }

  private async make(
    path: string,
    body: unknown,
    kinds: Record<string, Kind>,
    method: "POST" | "PUT" = "POST",
  ): Promise<Made> {
    const { status, text } = await this.send(method, path, JSON.stringify(body));
    if (status >= 300)
      throw new Error(`the world could not be made: ${method} ${path} answered ${status} ${text.slice(0, 500)}`);
    const answer = (text === "" ? null : JSON.parse(text)) as Made | null;
    this.addAll(answer, kinds);
    return answer ?? {};
  }

  private async find(path: string, kinds: Record<string, Kind>): Promise<void> {
    const { text } = await this.send("GET", path);
    for (const one of JSON.parse(text) as unknown[]) this.addAll(one, kinds);
  }

  private addAll(answer: unknown, kinds: Record<string, Kind>): void {
    if (typeof answer !== "object" || answer === null) return;
    for (const [field, kind] of Object.entries(kinds)) this.add(kind, (answer as Record<string, unknown>)[field]);
  }
}

/** The kinds of created rows, by the path of the request. */
const MADE: readonly (readonly [RegExp, Record<string, Kind>])[] = [
  [/^\/flows\/?$/, { id: "flow", name: "flow_name" }],
  [/^\/flow_runs\/?$/, { id: "flow_run", state_id: "flow_run_state" }],
  [/\/create_flow_run$/, { id: "flow_run", state_id: "flow_run_state" }],
  [/^\/task_runs\/?$/, { id: "task_run", state_id: "task_run_state" }],
  [/^\/deployments\/?$/, { id: "deployment", name: "deployment_name" }],
  [/^\/work_pools\/?$/, { id: "pool", name: "pool_name", default_queue_id: "queue" }],
  [/queues\/?$/, { id: "queue", name: "queue_name" }],
  [/^\/block_types\/?$/, { id: "block_type", slug: "block_type_slug" }],
  [/^\/block_schemas\/?$/, { id: "block_schema", checksum: "block_schema_checksum" }],
  [/^\/block_documents\/?$/, { id: "block_document", name: "block_document_name" }],
  [/^\/artifacts\/?$/, { id: "artifact", key: "artifact_key" }],
  [/^\/saved_searches\/?$/, { id: "saved_search" }],
  [/^\/variables\/?$/, { id: "variable", name: "variable_name" }],
  [/^\/concurrency_limits\/?$/, { id: "limit", tag: "tag" }],
  [/^\/v2\/concurrency_limits\/?$/, { id: "limit_v2", name: "limit_v2_name" }],
];
