/** `npm start`: the whole control plane on this machine, without a Cloudflare account. */
import { createServer } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { parseArgs } from "node:util";
import { SETTINGS } from "../src/env.ts";
import { DataInUse, type DataLock, lockData } from "./data-lock.ts";
import { keepSecretsKey } from "./secrets-key.ts";
import { type LocalServer, startLocalServer } from "./local-server.ts";

const HELP = `npm start [-- options]: runs Sluice on this machine.

  --port N     the port (4200)
  --host H     the address to listen on (127.0.0.1); any but loopback needs SLUICE_API_KEY or SLUICE_AUTH_STRING
  --data DIR   the folder of its data (.sluice); one server at a time
  --inspect N  the port of V8's inspector, for a debugger or a profile (docs/performance.md)
  --help       this text

SLUICE_API_KEY      the key that clients send as PREFECT_API_KEY
SLUICE_AUTH_STRING  user:password, as clients send PREFECT_API_AUTH_STRING
SLUICE_SECRETS_KEY  the key that encrypts secrets; without it, one is kept in the folder of the data
SLUICE_ALLOWED_HOSTS  names that clients may call it by besides localhost and the like, and --host: sluice.lan,192.168.1.5
PREFECT_SERVER_CORS_ALLOWED_ORIGINS  pages of other machines that may talk to it; so are …_METHODS, …_HEADERS
PREFECT_SERVER_…  all other settings of docs/settings.md`;

const KEYS = ["SLUICE_API_KEY", "SLUICE_AUTH_STRING"];
/** The variables that the Worker gets. The user does not choose the mode. */
const VARIABLES = SETTINGS.flatMap(({ variables }) => variables).filter((name) => name !== "SLUICE_MODE");

/** Prints the message and ends the process. For faults that the user can correct. */
function giveUp(message: string): never {
  console.error(message);
  process.exit(1);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "4200" },
        host: { type: "string", default: "127.0.0.1" },
        data: { type: "string", default: ".sluice" },
        inspect: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    return giveUp(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function portOf(name: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    giveUp(`${name} takes a number from 1 to 65535, not "${text}".`);
  return port;
}

/**
 * The host names that clients may use for the server: the names in the setting, and the names of the address or of the
 * whole machine.
 */
function allowedHosts(host: string, set: string | undefined): string {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
  const own = host === "0.0.0.0" || host === "::" ? [hostname(), ...addresses] : [host];
  return [...(set ? [set] : []), ...own].join(",");
}

/** Locks the data folder for this process. If another process uses the folder, prints that process and ends. */
function lockOrGiveUp(folder: string) {
  try {
    return lockData(folder);
  } catch (error) {
    if (error instanceof DataInUse)
      return giveUp(`${error.message}. Stop it, or choose another folder: npm start -- --data ${folder}-2`);
    return giveUp(`${folder} cannot be used for data: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Tries to listen on the port and returns the error, if any. workerd's own message comes late and is hard to read. */
function listenError(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((answer) => {
    const probe = createServer();
    probe.once("error", (error) => answer(error));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => answer(undefined)));
  });
}

/** The first signal, for example from Ctrl-C, stops the server and then this process. */
function stopOnSignals(server: LocalServer, lock: DataLock): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    server.stop().then(
      () => {
        lock.release();
        process.exit(0);
      },
      (error: unknown) => {
        console.error("the stop failed:", error);
        process.exit(1);
      },
    );
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // miniflare's own listeners would end this process at once.
    process.removeAllListeners(signal);
    process.on(signal, stop);
  }
  onceOrphaned(stop);
}

/** npm sends a SIGTERM only to its shell, and the shell ends. So a process that loses this parent stops. */
function onceOrphaned(stop: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  setInterval(() => {
    if (process.ppid !== parent) stop();
  }, 250).unref();
}

const parent = process.ppid;
const options = readOptions();
if (options.help) {
  console.log(HELP);
  process.exit(0);
}

const port = portOf("--port", options.port);
const inspect = options.inspect === undefined ? undefined : portOf("--inspect", options.inspect);
const host = options.host === "localhost" ? "127.0.0.1" : options.host;
const set = Object.entries(process.env).flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : []));
const vars = {
  ...Object.fromEntries(set.filter(([name]) => VARIABLES.includes(name))),
  SLUICE_ALLOWED_HOSTS: allowedHosts(host, process.env["SLUICE_ALLOWED_HOSTS"]),
};
if (!isLoopback(host) && !KEYS.some((name) => name in vars)) {
  giveUp(
    `--host ${host} would let others in without a key. Set SLUICE_API_KEY (clients send it as PREFECT_API_KEY)` +
      ` or SLUICE_AUTH_STRING (user:password, PREFECT_API_AUTH_STRING) and start again.`,
  );
}
const problem = await listenError(host, port);
if (problem?.code === "EADDRINUSE")
  giveUp(`Port ${port} on ${host} is taken. Stop what uses it, or choose another: npm start -- --port ${port + 1}`);
if (problem) giveUp(`Cannot listen on ${host}, port ${port}: ${problem.message}`);

const lock = lockOrGiveUp(options.data);
const ownKey: Record<string, string> = process.env["SLUICE_SECRETS_KEY"]
  ? {}
  : { SLUICE_SECRETS_KEY: keepSecretsKey(options.data) };
const all = { ...vars, ...ownKey };
stopOnSignals(await startLocalServer({ host, port, data: options.data, vars: all, inspect }), lock);
const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
const url = `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
console.log(`Sluice is at ${url} (API: ${url}/api, its documentation: ${url}/docs). Data: ${options.data}. Ctrl-C stops it.

    export PREFECT_API_URL=${url}/api
`);
