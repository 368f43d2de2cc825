/** The server of the fuzz test, started by `npm start` on a free port, with its data in a new folder. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../system/support/program.ts";

const START_SECONDS = 180;
const STOP_SECONDS = 20;

export class Server {
  readonly url: string;
  readonly program: Program;
  private readonly folder: string;

  static async start(): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "sluice-fuzz-"));
    const port = await freePort();
    const program = new Program(
      process.execPath,
      ["scripts/start.ts", "--port", String(port), "--data", join(folder, "data")],
      // Without it, no request for a token succeeds.
      { PREFECT_SERVER_CSRF_PROTECTION_ENABLED: "true" },
    );
    await program.prints(/export PREFECT_API_URL=\S+\n/, START_SECONDS);
    return new Server(`http://127.0.0.1:${port}/api`, program, folder);
  }

  private constructor(url: string, program: Program, folder: string) {
    this.url = url;
    this.program = program;
    this.folder = folder;
  }

  /** The memory of workerd, in MB. */
  memory(): number {
    const pid = readFileSync(join(this.folder, "data/workerd.pid"), "utf8").trim();
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kilobytes) / 1024);
  }

  async stop(): Promise<void> {
    this.program.signalHead("SIGTERM");
    await this.program.end(STOP_SECONDS).catch(() => undefined);
    await this.program.kill();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** The headers that requests need on a server with CSRF protection; none on other servers. */
export async function csrfHeaders(url: string): Promise<Record<string, string>> {
  const client = "sluice-fuzz";
  const response = await fetch(`${url}/csrf-token?client=${client}`).catch(() => undefined);
  const { token }: { token?: string } = (await response?.json()) ?? {};
  return token === undefined ? {} : { "prefect-csrf-token": token, "prefect-csrf-client": client };
}

function freePort(): Promise<number> {
  return new Promise((answer, refuse) => {
    const probe = createServer();
    probe.once("error", refuse);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => answer(port));
    });
  });
}
