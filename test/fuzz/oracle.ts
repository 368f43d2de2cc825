/** Checks after each request: the answer is below 500 and matches its schema, and the server still works. */
import { dereference, validate, type Schema as JsonSchema } from "@cfworker/json-schema";
import { operationsOf, type Document, type Plan } from "./requests.ts";
import type { Send, World } from "./world.ts";

/** A rule that a server broke. */
export interface Finding {
  kind: "5xx" | "schema" | "check" | "slow";
  /** The operation, or the check, that failed. */
  operation: string;
  /** The request that caused the finding. */
  request: string;
  /** The answer. */
  answer: string;
}

/** An answer. */
export interface Answer {
  status: number;
  text: string;
}

const SHOWN = 600;

/** Compares answers with the document. */
export class Oracle {
  /** The answers' schemas by operation and status. */
  private readonly schemas: Record<string, JsonSchema>;
  private readonly lookup: Record<string, JsonSchema | boolean>;

  constructor(document: Document) {
    const answers = operationsOf(document).flatMap(({ method, path, responses }) =>
      Object.entries(responses).flatMap(([status, { content }]) =>
        content ? [[`${method} ${path} ${status}`, content["application/json"].schema] as const] : [],
      ),
    );
    const definitions = { ...document.components.schemas, ...Object.fromEntries(answers) };
    const text = JSON.stringify(definitions).replaceAll('"#/components/schemas/', '"#/$defs/');
    this.schemas = JSON.parse(text) as Record<string, JsonSchema>;
    this.lookup = dereference({ $defs: this.schemas });
  }

  /** The findings about an answer. */
  judge(plan: Plan, request: string, { status, text }: Answer): Finding[] {
    const found = (kind: Finding["kind"], why: string): Finding[] => [
      {
        kind,
        operation: `${plan.method} ${plan.operation.path}`,
        request,
        answer: `${status} ${why} ${text.slice(0, SHOWN)}`,
      },
    ];
    if (status >= 500) return found("5xx", "");
    if (plan.method !== plan.operation.method) return [];
    if (status >= 400) return isFault(text) ? [] : found("schema", "a refusal without its reason:");
    const described = plan.operation.responses[String(status)];
    if (!described) return found("schema", "a status that the document does not have:");
    const schema = this.schemas[`${plan.method} ${plan.operation.path} ${status}`];
    if (!schema) return [];
    const { valid, errors } = validate(
      JSON.parse(text.replaceAll(LONE_SURROGATE, "$1?")),
      schema,
      "2020-12",
      this.lookup,
      true,
    );
    const problem = errors.at(-1);
    return valid ? [] : found("schema", `${problem?.instanceLocation} ${problem?.error}`);
  }
}

/** A lone surrogate, as `JSON.stringify` prints it. The validator cannot read names with a lone surrogate. */
const LONE_SURROGATE = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

const REASONS = ["detail", "exception_message", "state", "error"];

/** A refusal has a reason: `detail`, `exception_message` or the like. */
function isFault(text: string): boolean {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null && REASONS.some((name) => name in body);
  } catch {
    return false;
  }
}

type Check = readonly [method: string, path: string, body?: string];

/** Lists, counts, histories and polls. Each must answer below 500 after any request. */
const CHECKS: readonly Check[] = [
  ["POST", "/flow_runs/filter", '{"sort":"START_TIME_DESC"}'],
  ["POST", "/work_pools/«pool_name:0»/get_scheduled_flow_runs", '{"scheduled_before":"9999-12-31T00:00:00Z"}'],
  ["POST", "/task_runs/filter", "{}"],
  ["POST", "/deployments/filter", "{}"],
  ["POST", "/flows/filter", "{}"],
  ["POST", "/work_pools/filter", "{}"],
  ["POST", "/variables/filter", "{}"],
  ["POST", "/logs/filter", "{}"],
  ["POST", "/events/filter", "{}"],
  ["POST", "/work_pools/«pool_name:1»/get_scheduled_flow_runs", "{}"],
  ["POST", "/work_pools/«pool_name:2»/get_scheduled_flow_runs", "{}"],
  ["POST", "/flow_runs/filter", '{"sort":"EXPECTED_START_TIME_ASC"}'],
  ["POST", "/deployments/get_scheduled_flow_runs", '{"deployment_ids":["«deployment:0»","«deployment:1»"]}'],
  ["POST", "/flow_runs/count", "{}"],
  ["POST", "/task_runs/count", "{}"],
  ["POST", "/flow_runs/lateness", "{}"],
  [
    "POST",
    "/flow_runs/history",
    '{"history_start":"2026-11-01T00:00:00Z","history_end":"2026-12-01T00:00:00Z","history_interval_seconds":86400}',
  ],
  ["POST", "/work_queues/filter", "{}"],
  ["POST", "/v2/concurrency_limits/filter", "{}"],
  ["POST", "/concurrency_limits/filter", "{}"],
  ["POST", "/work_pools/«pool_name:0»/workers/filter", "{}"],
  ["POST", "/task_workers/filter", "{}"],
  ["GET", "/admin/database"],
  ["GET", "/admin/storage"],
  ["POST", "/block_types/filter", "{}"],
  ["POST", "/block_schemas/filter", "{}"],
  ["POST", "/block_documents/filter", '{"include_secrets":true}'],
  ["GET", "/block_capabilities/"],
  ["GET", "/block_types/slug/«block_type_slug:0»/block_documents"],
  ["POST", "/artifacts/filter", "{}"],
  ["POST", "/artifacts/latest/filter", "{}"],
  ["POST", "/saved_searches/filter", "{}"],
  ["POST", "/ui/flow_runs/history", "{}"],
  ["POST", "/ui/task_runs/count", "{}"],
  ["POST", "/ui/flows/next-runs", '{"flow_ids":["«flow:0»"]}'],
];

/** The number of checks after each request. The checks run in turn. */
export class Rota {
  private next = 0;
  private readonly send: Send;
  private readonly world: World;
  /** The failed checks, so that a list that keeps failing is reported once. */
  private readonly broken = new Set<string>();

  constructor(send: Send, world: World) {
    this.send = send;
    this.world = world;
  }

  /** Runs the next checks, and a health check. */
  async some(count: number, after: string): Promise<Finding[]> {
    const checks: Check[] = [["GET", "/health"]];
    for (let made = 0; made < count; made += 1) {
      const check = CHECKS[this.next % CHECKS.length];
      this.next += 1;
      if (check) checks.push(check);
    }
    return this.make(checks, after);
  }

  /** Runs all checks. */
  all(after: string): Promise<Finding[]> {
    return this.make([["GET", "/health"], ...CHECKS], after);
  }

  /** Sends an event, and searches for it. */
  async intake(after: string): Promise<Finding[]> {
    const id = crypto.randomUUID();
    const occurred = new Date().toISOString();
    const resource = { "prefect.resource.id": `sluice.fuzz.${id}` };
    const event = { id, occurred, event: "sluice.fuzz", resource };
    const taken = await this.send("POST", "/events", JSON.stringify([event]));
    const filter = { filter: { id: { id: [id] }, occurred: { since: occurred, until: "9000-01-01T00:00:00Z" } } };
    const shown = await this.send("POST", "/events/filter", JSON.stringify(filter));
    if (taken.status === 204 && shown.text.includes(id)) return [];
    return this.tell(
      "intake",
      after,
      `${taken.status} ${taken.text.slice(0, SHOWN)}, then ${shown.status} ${shown.text.slice(0, SHOWN)}`,
    );
  }

  private async make(checks: readonly Check[], after: string): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const [method, path, body] of checks) {
      const { status, text } = await this.send(method, this.world.path(path), body && this.world.named(body));
      if (status >= 500)
        findings.push(...this.tell(`${method} ${path} ${body ?? ""}`, after, `${status} ${text.slice(0, SHOWN)}`));
    }
    return findings;
  }

  private tell(check: string, after: string, answer: string): Finding[] {
    if (this.broken.has(check)) return [];
    this.broken.add(check);
    return [{ kind: "check", operation: check, request: after, answer: `${check} answered ${answer}` }];
  }
}
