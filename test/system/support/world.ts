/** The world of one test: a folder, a free port, Sluice as started by a user, and the stock client. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Program } from "./program.ts";

const START_SECONDS = 300;

/** A Python that has the stock client. */
const python = process.env["SLUICE_PYTHON"] ?? ".venv/bin/python";

export class World {
  readonly folder: string;
  readonly port: number;
  private readonly programs: Program[] = [];

  /** A world that ends with the test, together with all its programs. */
  static async of(test: Pick<TestContext, "after">): Promise<World> {
    const world = new World(mkdtempSync(join(tmpdir(), "sluice-system-")), await freePort());
    test.after(() => world.end());
    return world;
  }

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.port}/api`;
  }

  get data(): string {
    return join(this.folder, "data");
  }

  /** Runs `npm start`, or its script, with the world's port and data. `args` come last and override. */
  start(args: readonly string[] = [], settings: Record<string, string> = {}, by: "npm" | "node" = "npm"): Program {
    const options = ["--port", String(this.port), "--data", this.data, ...args];
    if (by === "npm") return this.run("npm", ["start", "--", ...options], settings);
    return this.run(process.execPath, ["scripts/start.ts", ...options], settings);
  }

  /** Starts Sluice, and waits until it answers. */
  async startSluice(settings: Record<string, string> = {}, by: "npm" | "node" = "npm"): Promise<Program> {
    const sluice = this.start([], settings, by);
    await sluice.prints(/export PREFECT_API_URL=\S+\n/, START_SECONDS);
    const response = await fetch(`${this.apiUrl}/health`);
    if (!response.ok) throw new Error(`Sluice is not well: ${response.status} ${await response.text()}`);
    return sluice;
  }

  /** Starts the original server in place of Sluice, and waits until it answers. It reports nothing to Prefect. */
  async startOriginal(settings: Record<string, string> = {}): Promise<Program> {
    const server = this.prefect(["server", "start", "--host", "127.0.0.1", "--port", String(this.port)], {
      PREFECT_SERVER_ANALYTICS_ENABLED: "false",
      PREFECT_HOME: join(this.folder, "server"),
      ...settings,
    });
    await eventually(START_SECONDS, async () => {
      if (!server.isRunning) return;
      const response = await fetch(`${this.apiUrl}/health`);
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    });
    if (!server.isRunning) throw new Error(`The original does not start:\n${server.output}`);
    return server;
  }

  /** The process id of the workerd that serves the world. */
  workerdPid(): number {
    return Number(readFileSync(join(this.data, "workerd.pid"), "utf8"));
  }

  /** Runs a Python program with the stock client. */
  runPython(file: string, settings: Record<string, string> = {}): Program {
    return this.runClient([file], settings);
  }

  /** Runs the stock command line. With "profiles" it knows no server but those of its profiles. */
  prefect(
    args: readonly string[],
    settings: Record<string, string> = {},
    server: "here" | "profiles" = "here",
  ): Program {
    return this.runClient(["-m", "prefect", ...args], settings, server);
  }

  private runClient(args: readonly string[], settings: Record<string, string>, server = "here"): Program {
    if (!existsSync(python)) {
      throw new Error(
        `${resolve(python)} is not there. These tests need a Python with prefect: python3 -m venv .venv,` +
          ` .venv/bin/pip install prefect==3.8.8, or set SLUICE_PYTHON to the path of one that has it.`,
      );
    }
    return this.run(python, args, {
      PREFECT_HOME: join(this.folder, "home"),
      ...(server === "here" && { PREFECT_API_URL: this.apiUrl }),
      ...settings,
    });
  }

  /** Runs one of the flows of test/system/flows. */
  runFlow(name: string, settings: Record<string, string> = {}): Program {
    return this.runPython(resolve("test/system/flows", `${name}.py`), settings);
  }

  private run(command: string, args: readonly string[], settings: Record<string, string>): Program {
    const program = new Program(command, args, settings);
    this.programs.push(program);
    return program;
  }

  private async end(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.kill()));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** A free port below the range of ports for outgoing connections, so that no connection takes the port. */
async function freePort(): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = 15_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
    if (tries === 50) throw new Error("no free port");
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer();
    server.once("error", () => answer(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => answer(true)));
  });
}

/** Calls `check` until it no longer throws, and gives its result. After `withinSeconds`, throws its last error. */
export async function eventually<T>(withinSeconds: number, check: () => T | Promise<T>): Promise<T> {
  for (const until = Date.now() + withinSeconds * 1000; ;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await sleep(100);
  }
}
