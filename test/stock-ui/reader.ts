/** The stock client, which looks at what a dialog has done. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Json, JsonObject } from "../conformance/json.ts";

/** One process of python/reader.py. */
export class Reader {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string, settings: Record<string, string>) {
    this.child = spawn(python, [join(import.meta.dirname, "python", "reader.py")], {
      env: { ...settings, PATH: process.env["PATH"] ?? "" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Calls a method of the client. Gives null if the server does not have the thing. */
  async read(method: string, args: JsonObject): Promise<Json> {
    this.child.stdin.write(`${JSON.stringify({ method, arguments: args })}\n`);
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error(`reader.py has ended at ${method}`);
    return JSON.parse(value);
  }

  end(): void {
    this.child.stdin.end();
    this.child.kill();
  }
}
