/** The stock command line beside one server, run by runner.py. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { JsonObject } from "../conformance/json.ts";

/** What runner.py needs to know of a call. */
export interface Order {
  arguments: string[];
  stdin: string;
  folder: string;
  settings: Record<string, string>;
  /** Ctrl-C is pressed, or the request is sent, when the output has this text. */
  until: string;
  reaction: { url: string; method: string; body: JsonObject | JsonObject[] } | null;
  seconds: number;
}

/** How a command ended. A command that was ended by a signal has the signal's number as a negative code. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

export class CommandLine {
  /** All commands that can be run, each with its path. */
  readonly commands: Promise<string[]>;
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string, settings: Record<string, string>) {
    this.child = spawn(python, [join(import.meta.dirname, "runner.py")], {
      env: settings,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.commands = this.answer();
  }

  /** Runs a command to its end. */
  async run(order: Order): Promise<Ended> {
    await this.commands;
    this.child.stdin.write(`${JSON.stringify(order)}\n`);
    return await this.answer();
  }

  end(): void {
    this.child.stdin.end();
    this.child.kill();
  }

  private async answer<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error("runner.py has ended");
    return JSON.parse(value);
  }
}
