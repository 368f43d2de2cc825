/** Programs that a test starts. Each leads its own process group, and ends before the test ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** How a program ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const groups = new Set<number>();
process.on("exit", () => {
  for (const group of groups) signalGroup(group, "SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // All processes of the group have ended.
  }
}

/** The environment of a new terminal: without npm's variables, and without settings of the client and the server. */
function freshEnvironment(settings: Record<string, string>): Record<string, string> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || /^(npm_|NODE_TEST|PREFECT_|SLUICE_|MINIFLARE_)/.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), ...settings };
}

export class Program {
  readonly name: string;
  /** The whole output of the program. */
  output = "";
  readonly ended: Promise<Exit>;
  private readonly child: ChildProcess;
  private exit: Exit | undefined;

  constructor(command: string, args: readonly string[], settings: Record<string, string> = {}) {
    this.name = [command, ...args].join(" ");
    this.child = spawn(command, args, {
      detached: true,
      env: freshEnvironment(settings),
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (this.child.pid !== undefined) groups.add(this.child.pid);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve) => {
      const settle = (exit: Exit) => resolve((this.exit ??= exit));
      this.child.once("exit", (code, signal) => settle({ code, signal }));
      this.child.once("error", (error) => {
        this.output += `${error.message}\n`;
        settle({ code: null, signal: null });
      });
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.exit === undefined;
  }

  /** Sends a signal to the whole group, as a terminal does. */
  signal(signal: NodeJS.Signals): void {
    if (this.child.pid !== undefined) signalGroup(this.child.pid, signal);
  }

  /** Sends a signal only to the program, not to the processes that it has started. */
  signalHead(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends all processes of the group. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
    if (this.child.pid !== undefined) groups.delete(this.child.pid);
  }

  /** Waits for the end of the program. */
  async end(withinSeconds: number): Promise<Exit> {
    await this.wait(() => this.exit !== undefined, withinSeconds, "end");
    return this.ended;
  }

  /** Waits until the output matches a pattern, and gives the text of the pattern's first group. */
  async prints(pattern: RegExp, withinSeconds: number): Promise<string> {
    const found = () => pattern.exec(this.output);
    await this.wait(() => found() !== null || this.exit !== undefined, withinSeconds, `print ${pattern.source}`);
    const match = found();
    if (!match) throw new Error(`${this.name} ended without ${pattern.source}:\n${this.output}`);
    return match[1] ?? match[0];
  }

  private async wait(isDone: () => boolean, withinSeconds: number, what: string): Promise<void> {
    for (const until = Date.now() + withinSeconds * 1000; !isDone();) {
      if (Date.now() > until) throw new Error(`${this.name} did not ${what} in ${withinSeconds} s:\n${this.output}`);
      await sleep(10);
    }
  }
}
