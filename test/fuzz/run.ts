/** Plays generated requests against a server, and watches what becomes of it. */
import { expand } from "./hostile.ts";
import { Oracle, Rota, type Finding } from "./oracle.ts";
import { Requests, type Document } from "./requests.ts";
import { World, type Send } from "./world.ts";

/** So many requests are played between two new worlds. */
const WORLD_EVERY = 40;
const SHOWN = 2000;

/** What a run has seen. */
export class Report {
  requests = 0;
  /** Answers by status. */
  readonly answers = new Map<number, number>();
  readonly findings: Finding[] = [];

  /** The counts as one line. */
  get summary(): string {
    const byStatus = [...this.answers].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    return `${this.requests} requests; answers ${byStatus.join(", ")}; ${this.findings.length} findings`;
  }
}

/** Where a run is played. */
export interface Scene {
  requests: Requests;
  world: World;
  seed: number;
}

/** How a run is watched. */
export interface Watch {
  /** Only operations whose method and path match. */
  only?: RegExp;
  /** Checks of the rota after each request. */
  checks: number;
  /** Whether an event is sent and looked for after each world. */
  intake: boolean;
  /** Called after each request; the run ends where it says so. */
  isOver(report: Report): boolean;
  /** Called before each new world but the first, and at the end. */
  between?(report: Report, scene: Scene): Promise<void>;
}

/** Plays the requests of a seed until the watch says that it is over. */
export async function run(document: Document, seed: number, send: Send, watch: Watch): Promise<Report> {
  const report = new Report();
  const requests = new Requests(document, watch.only);
  const oracle = new Oracle(document);
  const world = new World(send);
  const rota = new Rota(send, world);
  for (let turn = 0; !watch.isOver(report); turn += 1) {
    await world.build();
    for (const plan of requests.sample(seed + turn * WORLD_EVERY, WORLD_EVERY)) {
      if (watch.isOver(report)) break;
      // What is large stays a mark until it is sent, so that the request can be read.
      const path = world.path(plan.path);
      const body = plan.body === undefined ? undefined : world.named(plan.body);
      const request = `${plan.method} ${path.slice(0, SHOWN)} ${(body ?? "").slice(0, SHOWN)}`;
      const answer = await send(plan.method, path, body === undefined ? undefined : expand(body));
      report.requests += 1;
      report.answers.set(answer.status, (report.answers.get(answer.status) ?? 0) + 1);
      report.findings.push(...oracle.judge(plan, request, answer), ...(await rota.some(watch.checks, request)));
      world.learn(plan.path, answer.status, answer.text);
    }
    report.findings.push(...(await rota.all("all of the above")));
    if (watch.intake) report.findings.push(...(await rota.intake("all of the above")));
    await watch.between?.(report, { requests, world, seed: seed + turn * WORLD_EVERY });
  }
  return report;
}
