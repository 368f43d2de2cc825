/**
 * CSRF tokens as Prefect's clients use them, if the server wants them. A token is not stored: it has the time at which it ends, and a
 * signature of that time and of the client's id. The key of the signatures is a value of the configuration, made at the first use.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { configuration } from "#db/tables/variable";
import { refused, unprocessable } from "#lib/api-error";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

const CONFIGURATION_KEY = "csrf-signing-key";
const KEY_BYTES = 32;
/** A token has 64 digits, as Prefect's: the milliseconds at which it ends, and the signature. */
const TIME_DIGITS = 12;
const SIGNATURE_DIGITS = 52;

/** The methods that need a token. */
const CHANGING = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** Makes a token for a client. Throws 422 if the server wants no tokens: then a client asks for no more. */
export async function createCsrfToken(tools: Tools, client: string) {
  const { enabled, token_seconds: seconds } = tools.settings.csrf;
  if (!enabled) throw unprocessable("CSRF protection is disabled.");
  const now = tools.clock();
  const expires = Math.floor(now / 1000 + seconds * 1000);
  const time = printTime(now);
  const token = tokenOf(await signingKey(tools), client, expires);
  return { id: tools.ids.random(), created: time, updated: time, token, client, expiration: printTime(expires * 1000) };
}

/** Throws 403 for a request that changes something and has no token of its client, or a token that has ended. */
export async function checkCsrf({ method, headers }: Request, tools: Tools): Promise<void> {
  if (!tools.settings.csrf.enabled || !CHANGING.has(method)) return;
  const token = headers.get("prefect-csrf-token");
  const client = headers.get("prefect-csrf-client");
  if (token === null) throw refused(403, "Missing CSRF token.");
  if (client === null) throw refused(403, "Missing client identifier.");
  const expires = Number.parseInt(token.slice(0, TIME_DIGITS), 16);
  const isOver = !(expires * 1000 > tools.clock());
  if (isOver || !isSame(token, tokenOf(await signingKey(tools), client, expires)))
    throw refused(403, "Invalid CSRF token or client identifier.");
}

function tokenOf(key: string, client: string, expires: number): string {
  const time = expires.toString(16).padStart(TIME_DIGITS, "0");
  const signature = createHmac("sha256", Buffer.from(key, "hex")).update(`${time}:${client}`).digest("hex");
  return time + signature.slice(0, SIGNATURE_DIGITS);
}

function isSame(token: string, expected: string): boolean {
  const [given, wanted] = [Buffer.from(token), Buffer.from(expected)];
  return given.byteLength === wanted.byteLength && timingSafeEqual(given, wanted);
}

/** The keys of workspaces that this isolate has read. A key never changes. */
const known = new Map<string, string>();

async function signingKey({ db, workspaceId, clock }: Tools): Promise<string> {
  const remembered = known.get(workspaceId);
  if (remembered !== undefined) return remembered;
  const fresh = JSON.stringify(Buffer.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES))).toString("hex"));
  const select = sql`select value from ${configuration} where workspace_id = ${workspaceId} and key = ${CONFIGURATION_KEY}`;
  const now = clock();
  // If two requests make a key, the first one stays.
  const insert = sql`insert into ${configuration} (workspace_id, key, created, updated, value)
    select ${workspaceId}, ${CONFIGURATION_KEY}, ${now}, ${now}, ${fresh} where not exists (${select})`;
  const [, read] = await db.repeatable([insert, select]);
  const key = readJson<string>(String(read?.rows[0]?.["value"]));
  known.set(workspaceId, key);
  return key;
}
