/**
 * What every Durable Object of ours is built on: itty-durable's class, with SQL rows, timers behind the one alarm, calls
 * that carry a version, and hibernating WebSockets.
 */
import { createDurable } from "itty-durable";
import type { Env } from "#env";
import { spend, totalCost } from "#lib/cost";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { log } from "#lib/log";
import { makeTools, type Tools } from "#tools";
import { type Call, CALL_PATH, CALL_VERSION } from "#objects/call";

/** itty-durable's class with the types it leaves open. */
const Durable = createDurable({ autoReturn: false, autoPersist: false }) as unknown as new (
  state: DurableObjectState,
  env: Env,
) => {
  state: DurableObjectState & { router: { post(path: string, answer: (request: Request) => Promise<Response>): void } };
  fetch(request: Request): Promise<Response>;
};

/**
 * Base of the objects. Subclasses give their tables (`migrations`, applied once each, in order), the methods that may be
 * called from outside (`methods`) and what a timer does (`onTimer`).
 */
export abstract class SluiceObject extends Durable {
  // itty-durable hands out a Proxy, under which #private fields throw; these are private by agreement.
  readonly bindings: Env;
  readonly sql: SqlStorage;
  private opened = false;
  /** The timer whose work is being done, until it is set anew. Its row stays: if the object dies meanwhile, it comes again. */
  private running: string | null = null;
  private isInAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.bindings = env;
    this.sql = state.storage.sql;
    this.state.router.post(CALL_PATH, (request) => this.answer(request));
  }

  /** SQL of the object's tables, one entry a version; entries are never changed once they have shipped. */
  abstract migrations(): readonly string[];
  /** The methods that callers may name. */
  abstract methods(): Record<string, (...args: never[]) => unknown>;
  /** Does what the timer of this name is for; comes at least once. */
  abstract onTimer(name: string): Promise<void> | void;

  /** itty-durable would make one JSON value of the whole object; everything of ours is in rows. */
  getPersistable(): Record<string, never> {
    return {};
  }

  /** Answers a call. It comes as a request's body; by `proxyDurable(...).call(json)` it came before. */
  async call(json: string): Promise<{ result: unknown }> {
    const { v, method, args } = parseJson(json, STORED_JSON_DEPTH) as Call;
    if (v !== CALL_VERSION && v !== CALL_VERSION - 1) throw new Error(`call version ${v} is not understood`);
    const methods = this.methods();
    const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!found) throw new Error(`no method ${method}`);
    this.open();
    return { result: (await (found as (...values: unknown[]) => unknown).apply(this, args)) ?? null };
  }

  private async answer(request: Request): Promise<Response> {
    return Response.json(await this.call(await request.text()));
  }

  /** Applies the tables' versions that this object has not seen. */
  open(): void {
    if (this.opened) return;
    this.sql.exec("create table if not exists sluice_meta (key text primary key, value text not null) without rowid");
    this.sql.exec("create table if not exists sluice_timer (name text primary key, at integer not null) without rowid");
    const version = Number(this.readMeta("version") ?? 0);
    const all = this.migrations();
    for (const [index, statements] of all.entries()) if (index >= version) this.sql.exec(statements);
    if (version < all.length) this.writeMeta("version", String(all.length));
    this.opened = true;
  }

  /** The tools of the object's own work. */
  toolsOf(workspace: string): Tools {
    return makeTools(this.bindings, workspace, (work) => this.state.waitUntil(work));
  }

  /** A kept word about the object itself. */
  readMeta(key: string): string | null {
    return (
      this.sql.exec<{ value: string }>("select value from sluice_meta where key = ?", key).toArray()[0]?.value ?? null
    );
  }

  writeMeta(key: string, value: string): void {
    this.write(
      "insert into sluice_meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
      key,
      value,
    );
  }

  /** Runs a writing statement and counts its rows. */
  write(statement: string, ...params: SqlStorageValue[]): Record<string, SqlStorageValue>[] {
    const cursor = this.sql.exec(statement, ...params);
    const rows = cursor.toArray();
    spend(totalCost, { object_rows_written: cursor.rowsWritten });
    return rows;
  }

  /** Forgets everything, as after the thing it stands for was deleted. */
  async forget(): Promise<void> {
    await this.state.storage.deleteAlarm();
    await this.state.storage.deleteAll();
    this.opened = false;
    this.open();
  }

  /** Sets a timer to a time in milliseconds since 1970, or moves it there. The earliest timer is the object's alarm. */
  async setTimer(name: string, atMs: number): Promise<void> {
    if (this.timeOf(name) === atMs) return;
    this.write(
      "insert into sluice_timer (name, at) values (?, ?) on conflict (name) do update set at = excluded.at",
      name,
      atMs,
    );
    if (this.running === name) this.running = null;
    if (!this.isInAlarm) await this.arm();
  }

  /** Sets a timer unless one of that name is due earlier. */
  async setTimerBy(name: string, atMs: number): Promise<void> {
    const present = this.timeOf(name);
    if (present !== null && present <= atMs) return;
    await this.setTimer(name, atMs);
  }

  private timeOf(name: string): number | null {
    if (this.running === name) return null;
    return this.sql.exec<{ at: number }>("select at from sluice_timer where name = ?", name).toArray()[0]?.at ?? null;
  }

  private async arm(): Promise<void> {
    const [first] = this.sql.exec<{ at: number | null }>("select min(at) as at from sluice_timer").toArray();
    if (first?.at === null || first?.at === undefined) return;
    const armed = await this.state.storage.getAlarm();
    // A timer may be set to any time that somebody has asked for; alarms only to those that the platform takes.
    const at = Math.min(Math.max(first.at, 0), LATEST_ALARM_MS);
    if (armed === null || armed > at) await this.state.storage.setAlarm(at);
  }

  /**
   * The object's alarm: runs the timers that are due. It comes again where it did not end, and no timer is removed before its
   * work is done: none is ever lost, whether its work fails or the object dies over it.
   */
  async alarm(): Promise<void> {
    this.open();
    const now = Date.now();
    const due = this.sql
      .exec<{ name: string }>("select name from sluice_timer where at <= ? order by at", now)
      .toArray();
    this.isInAlarm = true;
    try {
      for (const { name } of due) await this.run(name, now);
    } finally {
      this.isInAlarm = false;
    }
    await this.arm();
  }

  private async run(name: string, now: number): Promise<void> {
    this.running = name;
    try {
      await this.onTimer(name);
    } catch (error) {
      log({ workspaceId: this.readMeta("workspace") }, "error", "a timer failed", { timer: name, error });
      await this.setTimerBy(name, now + RETRY_TIMER_MS);
    }
    if (this.running === name) this.write("delete from sluice_timer where name = ?", name);
    this.running = null;
  }
}

const RETRY_TIMER_MS = 5_000;
/** The platform takes no alarm after 2189. An alarm that rings before its timer is due is armed again. */
const LATEST_ALARM_MS = Date.UTC(2180);
