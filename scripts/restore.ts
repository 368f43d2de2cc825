/** `npm run restore`: writes the events of an hour, or a flow run with its logs, back from the archive to the database of a server. */
import { parseArgs } from "node:util";

const USAGE = `npm run restore -- --hour 2026-11-20T13:00Z
npm run restore -- --run 0a2b8f3e-3f0c-4a53-9f0b-7d6d3c2b1a00

Writes the events of an hour, or a flow run with its logs, back from the archive in R2 to the database, where they stay
for a day.

PREFECT_API_URL          the server's API (http://127.0.0.1:4200/api)
PREFECT_API_KEY          its key, if it has one
PREFECT_API_AUTH_STRING  or its user:password`;

/** The headers that authenticate, as the stock client sends them. */
function credentials({
  PREFECT_API_KEY: key,
  PREFECT_API_AUTH_STRING: user,
}: NodeJS.ProcessEnv): Record<string, string> {
  if (key) return { authorization: `Bearer ${key}` };
  if (user) return { authorization: `Basic ${Buffer.from(user).toString("base64")}` };
  return {};
}

async function restore(asked: { hour: string } | { run: string }): Promise<void> {
  const url = (process.env["PREFECT_API_URL"] ?? "http://127.0.0.1:4200/api").replace(/\/$/, "");
  const response = await fetch(`${url}/admin/archive/restore`, {
    method: "POST",
    headers: { "content-type": "application/json", ...credentials(process.env) },
    body: JSON.stringify(asked),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`The server refused (${response.status}): ${text}`);
  const { bundles, events, runs, logs, unreadable } = JSON.parse(text) as Record<string, number>;
  if ("hour" in asked) console.log(`Restored ${events} events from ${bundles} objects.`);
  else console.log(`Restored ${runs} runs and ${logs} logs.${runs === 0 ? " The run was not in the archive." : ""}`);
  if (unreadable)
    throw new Error(`${unreadable} objects could not be read and stay in the archive. See the server's log.`);
}

try {
  const options = { hour: { type: "string" }, run: { type: "string" }, help: { type: "boolean" } } as const;
  const { hour, run, help } = parseArgs({ options }).values;
  if (help) console.log(USAGE);
  else if (hour !== undefined && run === undefined) await restore({ hour });
  else if (run !== undefined && hour === undefined) await restore({ run });
  else {
    console.log(USAGE);
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
