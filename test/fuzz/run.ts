/** Plays generated requests against a server, and checks the server after each request. */
import { expand } from "./hostile.ts";
import { Oracle, Rota, type Finding } from "./oracle.ts";
import { nameOf, Requests, type Document, type Plan } from "./requests.ts";
import { Tally } from "./tally.ts";
import { World, type Send } from "./world.ts";

/** The number of requests between two new worlds. */
const WORLD_EVERY = 40;
const SHOWN = 2000;

/** The result of a run. */
export class Report {
  requests = 0;
  /** The number of answers by status. */
  readonly answers = new Map<number, number>();
  readonly findings: Finding[] = [];
  readonly tally: Tally;

  constructor(tally: Tally) {
    this.tally = tally;
  }

  /** The counts, in one line. */
  get summary(): string {
    const byStatus = [...this.answers].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    return `${this.requests} requests; answers ${byStatus.join(", ")}; ${this.findings.length} findings`;
  }
}

/** The server and the document of a run. */
export interface Scene {
  requests: Requests;
  world: World;
  seed: number;
}

/** The options of a run. */
export interface Watch {
  /** Only operations with a matching method and path. */
  only?: RegExp;
  /** The number of checks after each request. */
  checks: number;
  /** An answer that takes longer is a finding. Within workerd the clock stands still while a program computes. */
  patienceMs?: number;
  /** Whether an event is sent and searched for after each world. */
  intake: boolean;
  /** Called after each request; `true` ends the run. */
  isOver(report: Report): boolean;
  /** Called before each new world but the first, and at the end. */
  between?(report: Report, scene: Scene): Promise<void>;
}

/** Plays the requests of a seed until `isOver` is true. */
export async function run(document: Document, seed: number, send: Send, watch: Watch): Promise<Report> {
  const requests = new Requests(document, watch.only);
  const report = new Report(new Tally(requests.names));
  const oracle = new Oracle(document);
  const world = new World(send);
  const rota = new Rota(send, world);
  for (let turn = 0; !watch.isOver(report); turn += 1) {
    await world.build();
    for (const plan of requests.sample(seed + turn * WORLD_EVERY, WORLD_EVERY)) {
      if (watch.isOver(report)) break;
      // Marks are replaced by large values only when the request is sent, so that a printed request is short.
      const path = world.path(plan.path);
      const body = plan.body === undefined ? undefined : world.named(plan.body);
      const request = `${plan.method} ${path.slice(0, SHOWN)} ${(body ?? "").slice(0, SHOWN)}`;
      const started = performance.now();
      const answer = await send(plan.method, path, body === undefined ? undefined : world.named(expand(body)));
      const ms = performance.now() - started;
      report.requests += 1;
      report.answers.set(answer.status, (report.answers.get(answer.status) ?? 0) + 1);
      // A request with another method is not one of the operation.
      if (plan.method === plan.operation.method) report.tally.add(nameOf(plan.operation), answer, ms, request);
      if (watch.patienceMs !== undefined && ms > watch.patienceMs) report.findings.push(slow(plan, request, ms));
      report.findings.push(...oracle.judge(plan, request, answer), ...(await rota.some(watch.checks, request)));
      world.learn(plan.path, answer.status, answer.text);
    }
    report.findings.push(...(await rota.all("all of the above")));
    if (watch.intake) report.findings.push(...(await rota.intake("all of the above")));
    await watch.between?.(report, { requests, world, seed: seed + turn * WORLD_EVERY });
  }
  return report;
}

const slow = (plan: Plan, request: string, ms: number): Finding => ({
  kind: "slow",
  operation: nameOf(plan.operation),
  request,
  answer: `after ${Math.round(ms)} ms`,
});
