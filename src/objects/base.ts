/** The base of our Durable Objects: itty-durable's class with tables, typed calls, the object's identity, and timers behind the one alarm. */
import { createDurable } from "itty-durable";
import type { Env } from "#env";
import { type Clock, type Micros, systemClock } from "#lib/clock";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { log } from "#lib/log";
import { type Call, CALL_PATH, CALL_VERSION, type Contract, fromVersionBefore, type Identity } from "#objects/call";
import { Sql } from "#objects/sql";
import { makeTools, type Tools } from "#tools";

/** itty-durable's class, with types for the parts that itty-durable leaves untyped. */
const Durable = createDurable({ autoReturn: false, autoPersist: false }) as unknown as new (
  state: DurableObjectState,
  env: Env,
) => {
  state: DurableObjectState & { router: { post(path: string, answer: (request: Request) => Promise<Response>): void } };
  fetch(request: Request): Promise<Response>;
};

/** How long after a failure a timer fires again. */
export const TIMER_RETRY: Micros = 5_000_000;
/** The platform takes no alarm after 2189. An alarm that fires before its timer is due is set again. */
const LATEST_ALARM_MS = Date.UTC(2180);

/** Base of the objects. A subclass has a method for each name of its `contract`. */
export abstract class SluiceObject extends Durable {
  // itty-durable hands out a Proxy, and `#private` fields throw under a Proxy. So these fields are private by agreement only.
  readonly bindings: Env;
  readonly sql: SqlStorage;
  /** The object's SQL for its components. */
  readonly storage: Sql;
  clock: Clock = systemClock();
  private opened = false;
  private ownIdentity: Identity | null = null;
  private isIdentityKept = false;
  /**
   * The timer that is being handled, until the timer is set again. The timer's row stays, so an object that is evicted
   * meanwhile runs the timer again.
   */
  private running: string | null = null;
  private isInAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.bindings = env;
    this.sql = state.storage.sql;
    this.storage = new Sql(this.sql);
    this.state.router.post(CALL_PATH, (request) => this.answer(request));
  }

  /** SQL of the object's tables, one entry per version. An entry never changes after it has shipped. */
  abstract readonly migrations: readonly string[];
  /** The methods that callers may call. */
  abstract readonly contract: Contract;
  /** Handles the timer of this name. Runs at least once per timer. */
  abstract onTimer(name: string): Promise<void> | void;

  /** itty-durable would store the whole object as one JSON value. All our state is in rows, so nothing is left to store. */
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

  /** Sets the object's identity, from a call or an upgrade. Writes nothing. */
  identify(identity: Identity): void {
    this.ownIdentity = identity;
  }

  /** The object's identity. Throws before the first call or upgrade has given the identity. */
  identity(): Identity {
    this.ownIdentity ??= this.readIdentity();
    if (!this.ownIdentity) throw new Error("the object does not know its workspace");
    return this.ownIdentity;
  }

  private readIdentity(): Identity | null {
    const workspace = this.readMeta("workspace");
    return workspace === null ? null : { workspace, name: this.readMeta("name") };
  }

  /** Stores the object's identity. The object needs its identity when it acts without a call: on a timer, or for a socket. */
  keepIdentity(): void {
    if (this.isIdentityKept || !this.ownIdentity) return;
    const { workspace, name } = this.ownIdentity;
    if (this.readMeta("workspace") !== workspace) this.writeMeta("workspace", workspace);
    if (name !== null && this.readMeta("name") !== name) this.writeMeta("name", name);
    this.isIdentityKept = true;
  }

  /** The tools for the object's own work. Throws where `identity` throws. */
  tools(): Tools {
    return makeTools(this.bindings, this.identity().workspace, (work) => this.state.waitUntil(work));
  }

  /** Writes a log line with the object's workspace. */
  log(level: "error" | "warn", message: string, fields: Readonly<Record<string, unknown>>): void {
    log({ workspaceId: this.readMeta("workspace") }, level, message, fields);
  }

  /** A stored fact about the object, or null. */
  readMeta(key: string): string | null {
    return this.storage.read<{ value: string }>("select value from sluice_meta where key = ?", key)[0]?.value ?? null;
  }

  writeMeta(key: string, value: string): void {
    this.storage.put("sluice_meta", "key", { key, value });
  }

  /** Empties the object's storage, for example after its pool was deleted. */
  async forget(): Promise<void> {
    await this.state.storage.deleteAlarm();
    await this.state.storage.deleteAll();
    this.opened = false;
    this.isIdentityKept = false;
    this.open();
  }

  /** Sets a timer to a time, or moves the timer to that time. The earliest timer sets the object's alarm. */
  async setTimer(name: string, at: Micros): Promise<void> {
    const atMs = Math.ceil(at / 1000);
    if (this.timeOf(name) === atMs) return;
    this.keepIdentity();
    this.storage.put("sluice_timer", "name", { name, at: atMs });
    if (this.running === name) this.running = null;
    if (!this.isInAlarm) await this.arm();
  }

  /** Sets a timer, unless the timer is already due earlier. */
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
    // A client may ask for any time, but the platform takes no alarm before 1970.
    const at = Math.min(Math.max(first.at, 1), LATEST_ALARM_MS);
    if (armed === null || armed > at) await this.state.storage.setAlarm(at);
  }

  /**
   * Runs the timers that are due. The platform retries an alarm that failed, and a timer is removed only after its
   * work. So no timer is lost when its work fails or the object is evicted.
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
