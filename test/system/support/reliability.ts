/** The matrix of docs/reliability.md: runs in each phase of their life, and a process that is killed meanwhile. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Api } from "./api.ts";
import type { Program } from "./program.ts";
import { isAlive } from "../../../scripts/processes.ts";
import { eventually, World } from "./world.ts";

/** The processes that are killed by SIGKILL while a run is in each of the phases. */
export const KILLED = [
  "the control plane",
  "the worker",
  "the flow process",
  "the worker and the flow process",
] as const;
export type Killed = (typeof KILLED)[number];

/** A phase of a run's life. */
interface Phase {
  name: string;
  flow: string;
  /** Seconds from now until the run is due. */
  dueIn?: number;
  /**
   * Where the run waits before its flow begins: the pull steps (no process yet) or the command (a process, no flow
   * yet).
   */
  heldBy?: "pull steps" | "command";
  /** The run is created after all others are in their phases, because this phase is short. */
  isShort?: boolean;
  /** The state of a run in the phase. Without this state, the file of the flow's process shows the phase. */
  state?: string;
  /** The run has no flow process in this phase. */
  hasNoProcess?: boolean;
  /**
   * The run is created after all others are in their phases, because the kill must come as soon as the phase is seen.
   */
  isMoment?: boolean;
}

/** The phases, in the order in which a run may pass through them. */
export const PHASES: readonly Phase[] = [
  { name: "Scheduled, not yet due", flow: "at_once", dueIn: 75, isShort: true, state: "Scheduled", hasNoProcess: true },
  { name: "Pending, just taken by the worker", flow: "at_once", isMoment: true, hasNoProcess: true },
  { name: "Pending, its code is being fetched", flow: "at_once", heldBy: "pull steps", state: "Submitting" },
  { name: "Pending, the process is starting", flow: "at_once", heldBy: "command", state: "Submitting" },
  { name: "Running, in the flow's own code", flow: "in_flow" },
  { name: "Running, in a task", flow: "in_task" },
  { name: "Running, in a subflow", flow: "in_subflow" },
  { name: "AwaitingRetry, in its process", flow: "in_retry", isShort: true, state: "AwaitingRetry" },
  { name: "Paused, in its process", flow: "in_pause", isShort: true, state: "Paused" },
  { name: "Cancelling", flow: "in_cancelling" },
];

const python = resolve(process.env["SLUICE_PYTHON"] ?? ".venv/bin/python");

/** How a run ended. */
export interface Outcome {
  killed: Killed;
  phase: string;
  /** The final state. */
  end: string;
  /** The states of the run after the kill. */
  passed: string[];
  seconds: number;
  message: string;
  /** The part that noticed the kill, from the messages of the states. */
  noticedBy: string;
  /** The last state of the subflow, if there is a subflow. */
  subflow: string | null;
}

/** Settings that shorten all waits. */
const SERVER_SETTINGS = {
  PREFECT_SERVER_SERVICES_ZOMBIES_MISSED_HEARTBEATS: "2",
  PREFECT_SERVER_SERVICES_ZOMBIES_FALLBACK_HEARTBEAT_INTERVAL_SECONDS: "30",
  PREFECT_SERVER_SERVICES_LAZARUS_PENDING_SECONDS: "60",
  PREFECT_SERVER_SERVICES_LAZARUS_INFRASTRUCTURE_PENDING_SECONDS: "180",
  PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS: "120",
};
const CLIENT_SETTINGS = {
  PREFECT_FLOWS_HEARTBEAT_FREQUENCY: "30",
  PREFECT_WORKER_QUERY_SECONDS: "1",
  PREFECT_WORKER_HEARTBEAT_SECONDS: "5",
};
/** The time until a supervisor starts a killed process again. */
const AWAY_MS = 5_000;
const START_SECONDS = 300;
const END_SECONDS = 420;
const TERMINAL = new Set(["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]);

const FlowRun = z.object({
  id: z.string(),
  state_type: z.string(),
  state_name: z.string(),
  infrastructure_pid: z.string().nullable(),
});
type FlowRun = z.output<typeof FlowRun>;
const State = z.object({ type: z.string(), name: z.string(), timestamp: z.string(), message: z.string().nullable() });
type State = z.output<typeof State>;
const WithId = z.object({ id: z.string() });

/** A run of the matrix. */
interface Run {
  phase: Phase;
  id: string;
}

/**
 * Kills a process while there is a run in each phase, restarts what a supervisor would restart, and gives the ends of
 * the runs.
 */
export async function killInEachPhase(killed: Killed, say: (line: string) => void = () => {}): Promise<Outcome[]> {
  const cleanups: (() => unknown)[] = [];
  const world = await World.of({ after: (cleanup) => void cleanups.push(cleanup as () => unknown) });
  const scene = new Scene(world, killed, say);
  try {
    return await scene.play();
  } catch (error) {
    say(scene.output());
    throw error;
  } finally {
    scene.endProcesses();
    for (const cleanup of cleanups) await cleanup();
  }
}

class Scene {
  private readonly world: World;
  private readonly killed: Killed;
  private readonly say: (line: string) => void;
  private readonly api: Api;
  private readonly folder: string;
  private readonly pids = new Set<number>();
  private sluice: Program | undefined;
  private worker: Program | undefined;
  private readonly workers: Program[] = [];

  constructor(world: World, killed: Killed, say: (line: string) => void) {
    this.world = world;
    this.killed = killed;
    this.say = (line) => say(`[${killed}] ${line}`);
    this.api = new Api(world.apiUrl);
    this.folder = join(world.folder, "phases");
    mkdirSync(this.folder);
  }

  async play(): Promise<Outcome[]> {
    this.sluice = await this.world.startSluice(SERVER_SETTINGS, "node");
    await this.api.ask("/work_pools/", { name: "matrix", type: "process" });
    this.worker = this.startWorker();
    const phases = PHASES.filter((phase) => !(this.killed === "the flow process" && phase.hasNoProcess));
    const runs = await this.bring(phases.filter((phase) => !phase.isShort && !phase.isMoment));
    runs.push(...(await this.bring(phases.filter((phase) => phase.isShort))));
    await this.cancel(runs);
    await this.note(runs);
    for (const phase of phases.filter(({ isMoment }) => isMoment)) runs.push(await this.catch(phase));
    const at = Date.now();
    await this.kill();
    this.say("killed");
    // Without the control plane the flows must continue at once. A process that ends with its worker needs time for its
    // end.
    if (this.killed === "the control plane") this.release();
    await sleep(AWAY_MS);
    this.release();
    await this.startAgain();
    await this.resume(runs);
    const outcomes = await Promise.all(runs.map((run) => this.follow(run, at)));
    const places = new Map(PHASES.map(({ name }, index) => [name, index]));
    return outcomes.toSorted((a, b) => (places.get(a.phase) ?? 0) - (places.get(b.phase) ?? 0));
  }

  /** Lets the waiting flows continue. */
  private release(): void {
    writeFileSync(join(this.folder, "release"), "");
  }

  /** The output of all programs, to find the reason of a failure. */
  output(): string {
    return [this.sluice, ...this.workers].map((program) => program?.output ?? "").join("\n---\n");
  }

  /** Ends the remaining flow processes. */
  endProcesses(): void {
    for (const pid of this.pids) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  }

  private startWorker(): Program {
    const worker = this.world.runFlow("worker", { ...CLIENT_SETTINGS, POOL: "matrix" });
    this.workers.push(worker);
    return worker;
  }

  /** Creates a run of each phase, and waits until each run is in its phase. */
  private async bring(phases: readonly Phase[]): Promise<Run[]> {
    const runs: Run[] = [];
    for (const phase of phases) runs.push({ phase, id: await this.make(phase) });
    for (const run of runs) {
      await eventually(START_SECONDS, async () => {
        if (!(await this.isThere(run))) throw new Error(`a run is not ${run.phase.name}`);
      });
      this.say(`is ${run.phase.name}`);
    }
    return runs;
  }

  /** Creates a run, and returns as soon as a worker has taken the run, before the worker does more. */
  private async catch(phase: Phase): Promise<Run> {
    for (;;) {
      const run = { phase, id: await this.make(phase) };
      for (
        let present = await this.read(run.id);
        present.infrastructure_pid === null;
        present = await this.read(run.id)
      ) {
        if (present.state_type !== "PENDING") continue;
        this.say(`${phase.name}: ${present.state_name}`);
        return run;
      }
      // The worker was too fast. This run continues, and the next run may be seen in time.
    }
  }

  private async make(phase: Phase): Promise<string> {
    const flow = WithId.parse(await this.api.ask("/flows/", { name: phase.flow.replaceAll("_", "-") }));
    const wait = `while [ ! -e '${this.folder}/release' ]; do sleep 0.2; done`;
    const code = { "prefect.deployments.steps.set_working_directory": { directory: resolve("test/system/flows") } };
    const held = { "prefect.deployments.steps.run_shell_script": { script: `sh -c "${wait}"` } };
    const deployment = WithId.parse(
      await this.api.ask("/deployments/", {
        name: phase.name.replaceAll(/[^a-zA-Z]+/g, "-"),
        flow_id: flow.id,
        entrypoint: `phases.py:${phase.flow}`,
        work_pool_name: "matrix",
        pull_steps: phase.heldBy === "pull steps" ? [held, code] : [code],
        job_variables:
          phase.heldBy === "command" ? { command: `sh -c "${wait}; exec '${python}' -m prefect.engine"` } : {},
      }),
    );
    const run = await this.api.ask(`/deployments/${deployment.id}/create_flow_run`, {
      parameters: { folder: this.folder },
      ...(phase.dueIn !== undefined && {
        state: { type: "SCHEDULED", state_details: { scheduled_time: isoIn(phase.dueIn) } },
      }),
    });
    return WithId.parse(run).id;
  }

  private async isThere({ id, phase }: Run): Promise<boolean> {
    if (phase.state === undefined) return this.saidPid(id) !== null;
    const { state_name, infrastructure_pid } = await this.read(id);
    return state_name === phase.state && (!phase.heldBy || infrastructure_pid !== null);
  }

  /** The process id that a flow has written. */
  private saidPid(id: string): number | null {
    try {
      return Number(readFileSync(join(this.folder, id), "utf8")) || null;
    } catch {
      // The flow has not written the file yet.
      return null;
    }
  }

  private async read(id: string): Promise<FlowRun> {
    return FlowRun.parse(await this.api.ask(`/flow_runs/${id}`));
  }

  private async states(id: string): Promise<State[]> {
    return z.array(State).parse(await this.api.ask(`/flow_run_states/?flow_run_id=${id}`));
  }

  private async cancel(runs: readonly Run[]): Promise<void> {
    const run = runs.find(({ phase }) => phase.flow === "in_cancelling");
    if (!run) return;
    await this.api.ask(`/flow_runs/${run.id}/set_state`, { state: { type: "CANCELLING" } });
    // By now the worker has sent the process a signal, and the process ignores the signal.
    await sleep(2_000);
  }

  /** Records the processes of the runs, and prints the states of the runs. */
  private async note(runs: readonly Run[]): Promise<void> {
    for (const run of runs) {
      const { state_name, infrastructure_pid } = await this.read(run.id);
      for (const pid of [Number(infrastructure_pid), this.saidPid(run.id)]) if (pid) this.pids.add(pid);
      this.say(`${run.phase.name}: ${state_name}, process ${infrastructure_pid ?? "none"}`);
    }
  }

  private async kill(): Promise<void> {
    if (this.killed === "the control plane") await this.sluice?.kill();
    if (this.killed.startsWith("the worker")) this.worker?.signalHead("SIGKILL");
    if (this.killed.endsWith("the flow process")) this.endProcesses();
    if (this.killed === "the worker and the flow process") await this.worker?.kill();
  }

  private async startAgain(): Promise<void> {
    if (this.killed === "the control plane") this.sluice = await this.world.startSluice(SERVER_SETTINGS, "node");
    if (this.killed.startsWith("the worker")) this.worker = this.startWorker();
  }

  /** Resumes the paused run, if its process still waits. */
  private async resume(runs: readonly Run[]): Promise<void> {
    const run = runs.find(({ phase }) => phase.flow === "in_pause");
    if (run && !this.killed.endsWith("the flow process")) await this.api.ask(`/flow_runs/${run.id}/resume`, {});
  }

  private async follow({ id, phase }: Run, killedAt: number): Promise<Outcome> {
    const { state_name: end } = await eventually(END_SECONDS, async () => {
      const run = await this.read(id);
      if (!TERMINAL.has(run.state_type)) throw new Error(`${phase.name}: the run is still ${run.state_name}`);
      return run;
    });
    const after = (await this.states(id)).filter(({ timestamp }) => Date.parse(timestamp) >= killedAt);
    const last = after.at(-1);
    const outcome = {
      killed: this.killed,
      phase: phase.name,
      end,
      passed: after.map(({ name }) => name),
      seconds: Math.round((Date.parse(last?.timestamp ?? "") - killedAt) / 1000),
      message: last?.message ?? "",
      noticedBy: noticedBy(after),
      subflow: phase.flow === "in_subflow" ? await this.subflow(id) : null,
    };
    this.say(JSON.stringify(outcome));
    return outcome;
  }

  private async subflow(parentId: string): Promise<string> {
    return await eventually(END_SECONDS, async () => {
      const body = { flow_runs: { parent_flow_run_id: { any_: [parentId] } } };
      const [child] = z.array(FlowRun).parse(await this.api.ask("/flow_runs/filter", body));
      if (!child || !TERMINAL.has(child.state_type)) throw new Error("the subflow has not ended");
      return child.state_name;
    });
  }
}

/** The part that writes a message, found by the message. */
const AUTHORS: readonly [RegExp, string][] = [
  [/^The flow run's process is gone/, "zombies (missed heartbeats)"],
  [/^Scheduled anew/, "Lazarus, then the next worker"],
  [/^The flow was paused and never resumed/, "pause expiry"],
  [/^The cancellation of the flow run timed out/, "cancellation clean-up"],
  [/^Execution was aborted/, "the flow process itself"],
  [/infrastructure exited with non-zero status|exited with (status|non-zero)/i, "the worker (exit status)"],
];

function noticedBy(states: readonly State[]): string {
  for (const [pattern, author] of AUTHORS) {
    if (states.some(({ message }) => message !== null && pattern.test(message))) return author;
  }
  const names = states.map(({ name }) => name);
  if (names.includes("Pending")) return "a worker, as it polled";
  return names.at(-1) === "Cancelled" ? "the worker (cancelling)" : "nobody had to: it went on";
}

const isoIn = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
