/** The base of our Durable Objects: itty-durable's class with tables, typed calls, the object's identity, and timers behind the one alarm. */
import { createDurable } from "itty-durable";
import type { Env } from "#env";
import { type Clock, type Micros, systemClock } from "#lib/clock";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { log } from "#lib/log";
import { type Call, CALL_PATH, CALL_VERSION, type Contract, fromVersionBefore, type Identity } from "#objects/call";
import { Sql } from "#objects/sql";
import { makeTools, type Tools } from "#tools";

/** itty-durable's class with the types it leaves open. */
const Durable = createDurable({ autoReturn: false, autoPersist: false }) as unknown as new (
  state: DurableObjectState,
  env: Env,
) => {
  state: DurableObjectState & { router: { post(path: string, answer: (request: Request) => Promise<Response>): void } };
  fetch(request: Request): Promise<Response>;
};

/** How long after a failure a timer is set again. */
export const TIMER_RETRY: Micros = 5_000_000;
/** The platform takes no alarm after 2189. An alarm that rings before its timer is due is armed again. */
const LATEST_ALARM_MS = Date.UTC(2180);

/** Base of the objects. A subclass has a method for each name of its `contract`. */
export abstract class SluiceObject extends Durable {
  // itty-durable hands out a Proxy, under which #private fields throw; these are private by agreement.
  readonly bindings: Env;
  readonly sql: SqlStorage;
  /** The object's SQL for its components. */
  readonly storage: Sql;
  clock: Clock = systemClock();
  private opened = false;
  private ownIdentity: Identity | null = null;
  private isIdentityKept = false;
  /** The timer whose work is being done, until it is set anew. Its row stays, so an object that is evicted meanwhile runs it again. */
  private running: string | null = null;
  private isInAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.bindings = env;
    this.sql = state.storage.sql;
    this.storage = new Sql(this.sql);
    this.state.router.post(CALL_PATH, (request) => this.answer(request));
  }

  /** SQL of the object's tables, one entry a version; entries are never changed once they have shipped. */
  abstract readonly migrations: readonly string[];
  /** The methods that callers may name. */
  abstract readonly contract: Contract;
  /** Does what the timer of this name is for; comes at least once. */
  abstract onTimer(name: string): Promise<void> | void;

  /** itty-durable would make one JSON value of the whole object; everything of ours is in rows. */
  getPersistable(): Record<string, never> {
    return {};
  }

  private async answer(request: Request): Promise<Response> {
    const sent = parseJson(await request.text(), STORED_JSON_DEPTH) as Call;
    if (sent.v !== CALL_VERSION && sent.v !== CALL_VERSION - 1)
      throw new Error(`call version ${sent.v} is not understood`);
    const { object, method, args } = sent.v === CALL_VERSION ? sent : fromVersionBefore(sent);
    if (!Object.hasOwn(this.contract, method)) throw new Error(`no method ${method}`);
    this.open();
    if (object) this.identify(object);
    const methods = this as unknown as Record<string, (...values: unknown[]) => unknown>;
    return Response.json({ result: (await methods[method]?.(...args)) ?? null });
  }

  /** Applies the versions of the tables that this object has not seen. */
  open(): void {
    if (this.opened) return;
    this.sql.exec("create table if not exists sluice_meta (key text primary key, value text not null) without rowid");
    this.sql.exec("create table if not exists sluice_timer (name text primary key, at integer not null) without rowid");
    const version = Number(this.readMeta("version") ?? 0);
    for (const statements of this.migrations.slice(version)) this.sql.exec(statements);
    if (version < this.migrations.length) this.writeMeta("version", String(this.migrations.length));
    this.opened = true;
  }

  /** Which object this is, as a call or an upgrade has told it. Nothing is written. */
  identify(identity: Identity): void {
    this.ownIdentity = identity;
  }

  /** Which object this is. Throws where neither a call nor an upgrade has told it. */
  identity(): Identity {
    this.ownIdentity ??= this.readIdentity();
    if (!this.ownIdentity) throw new Error("the object does not know its workspace");
    return this.ownIdentity;
  }

  private readIdentity(): Identity | null {
    const workspace = this.readMeta("workspace");
    return workspace === null ? null : { workspace, name: this.readMeta("name") };
  }

  /** Stores which object this is. An object needs it where it acts without a call: on a timer, for a socket. */
  keepIdentity(): void {
    if (this.isIdentityKept || !this.ownIdentity) return;
    const { workspace, name } = this.ownIdentity;
    if (this.readMeta("workspace") !== workspace) this.writeMeta("workspace", workspace);
    if (name !== null && this.readMeta("name") !== name) this.writeMeta("name", name);
    this.isIdentityKept = true;
  }

  /** The tools of the object's own work. Throws as `identity` does. */
  tools(): Tools {
    return makeTools(this.bindings, this.identity().workspace, (work) => this.state.waitUntil(work));
  }

  /** Writes a line of the log about the object's workspace. */
  log(level: "error" | "warn", message: string, fields: Readonly<Record<string, unknown>>): void {
    log({ workspaceId: this.readMeta("workspace") }, level, message, fields);
  }

  /** A fact about the object itself that is kept, or null. */
  readMeta(key: string): string | null {
    return this.storage.read<{ value: string }>("select value from sluice_meta where key = ?", key)[0]?.value ?? null;
  }

  writeMeta(key: string, value: string): void {
    this.storage.put("sluice_meta", "key", { key, value });
  }

  /** Empties the object's storage, as after the object's pool was deleted. */
  async forget(): Promise<void> {
    await this.state.storage.deleteAlarm();
    await this.state.storage.deleteAll();
    this.opened = false;
    this.isIdentityKept = false;
    this.open();
  }

  /** Sets a timer to a time, or moves it there. The earliest timer is the object's alarm. */
  async setTimer(name: string, at: Micros): Promise<void> {
    const atMs = Math.ceil(at / 1000);
    if (this.timeOf(name) === atMs) return;
    this.keepIdentity();
    this.storage.put("sluice_timer", "name", { name, at: atMs });
    if (this.running === name) this.running = null;
    if (!this.isInAlarm) await this.arm();
  }

  /** Sets a timer unless one of that name is due earlier. */
  async setTimerBy(name: string, at: Micros): Promise<void> {
    const presentMs = this.timeOf(name);
    if (presentMs !== null && presentMs <= Math.ceil(at / 1000)) return;
    await this.setTimer(name, at);
  }

  /** When a timer is due, in milliseconds since 1970, or null. */
  private timeOf(name: string): number | null {
    if (this.running === name) return null;
    return this.storage.read<{ at: number }>("select at from sluice_timer where name = ?", name)[0]?.at ?? null;
  }

  private async arm(): Promise<void> {
    const [first] = this.storage.read<{ at: number | null }>("select min(at) as at from sluice_timer");
    if (first?.at === null || first?.at === undefined) return;
    const armed = await this.state.storage.getAlarm();
    // A timer may have any time that a client asked for; the platform takes no alarm before 1970.
    const at = Math.min(Math.max(first.at, 1), LATEST_ALARM_MS);
    if (armed === null || armed > at) await this.state.storage.setAlarm(at);
  }

  /**
   * Runs the timers that are due. The platform repeats an alarm that did not end, and a timer is removed only after its work. So
   * no timer is lost where its work fails, or where the object is evicted.
   */
  async alarm(): Promise<void> {
    this.open();
    const nowMs = Date.now();
    const due = this.storage.read<{ name: string }>("select name from sluice_timer where at <= ? order by at", nowMs);
    this.isInAlarm = true;
    try {
      for (const { name } of due) await this.run(name, nowMs * 1000);
    } finally {
      this.isInAlarm = false;
    }
    await this.arm();
  }

  private async run(name: string, now: Micros): Promise<void> {
    this.running = name;
    try {
      await this.onTimer(name);
    } catch (error) {
      this.log("error", "a timer failed", { timer: name, error });
      await this.setTimerBy(name, now + TIMER_RETRY);
    }
    if (this.running === name) this.storage.write("delete from sluice_timer where name = ?", name);
    this.running = null;
  }
}
