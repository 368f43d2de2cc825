/** Plays generated requests against a server, and watches what becomes of it. */
import { Oracle, Rota, type Answer, type Finding } from "./oracle.ts";
import { Requests, type Document, type Plan } from "./requests.ts";
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
  const requests = new Requests(document);
  const oracle = new Oracle(document);
  const world = new World(send);
  const rota = new Rota(send, world);
  for (let turn = 0; !watch.isOver(report); turn += 1) {
    await world.build();
    for (const plan of requests.sample(seed + turn * WORLD_EVERY, WORLD_EVERY)) {
      if (watch.isOver(report)) break;
      const request = printed(plan, world);
      const answer = await play(plan, world, send);
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

function play({ method, path, body }: Plan, world: World, send: Send): Promise<Answer> {
  return send(method, world.path(path), body === undefined ? undefined : world.body(body));
}

/** The request as it can be read and sent again: only what is large stays a mark. */
function printed({ method, path, body }: Plan, world: World): string {
  return `${method} ${world.path(path).slice(0, SHOWN)} ${known(body ?? "", world).slice(0, SHOWN)}`;
}

const known = (text: string, world: World) =>
  text.replaceAll(/«(\w+):(\d)»/g, (_, kind: string, of: string) => world.one(kind, Number(of)));
