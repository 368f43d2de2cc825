/** Labels for ids, times and names, which differ in each play of a sequence. */
import { isObject, type Json, type JsonObject } from "../conformance/json.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,6}))?(?:Z|\+00:00)$/;
const SECOND = 1_000_000;

/** Two sums of the same durations may differ by so much if one sum was computed as a float. */
const ROUNDING = 2;
/** Clocks are read to the millisecond. */
const SLACK = 1000;

/** Microseconds since 1970, or undefined if the text is not a time. */
export function micros(text: Json | undefined): number | undefined {
  const match = typeof text === "string" ? TIME.exec(text) : null;
  if (!match) return undefined;
  const [whole, fraction = ""] = match;
  return Date.parse(`${whole.slice(0, 19)}Z`) * 1000 + Number(fraction.padEnd(6, "0"));
}

/** A text as it is, and anything else as JSON. */
export function word(value: Json | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

/** The labels of one play. */
export class Labels {
  /** The random part of every name of this play. */
  readonly suffix: string;
  /** The start of the play, with random microseconds, so that no other time is equal to a sent time. */
  readonly start: number;
  private readonly ids = new Map<string, string>();
  private readonly times = new Map<number, string>();
  /** The times of written states, in the order of the play. */
  private readonly moments: { at: number; label: string }[] = [];
  /** The start and end of each step's requests. Both servers use the clock of this machine. */
  private readonly windows: { from: number; to: number; label: string }[] = [];
  private leases = 0;

  constructor(suffix: string) {
    this.suffix = suffix;
    this.start = Date.now() * 1000 + 137;
  }

  /** The text of a time so many seconds after the start. The label of this time is `sent+N`. */
  sent(offset: number): string {
    const at = this.start + offset * SECOND;
    this.times.set(at, `sent${offset < 0 ? "" : "+"}${offset}`);
    return `${new Date(Math.floor(at / 1000)).toISOString().slice(0, -1)}${String(at % 1000).padStart(3, "0")}Z`;
  }

  nameId(id: string, label: string): void {
    this.ids.set(id, label);
  }

  /** Starts a step: new times are times of this step. */
  open(label: string): void {
    const now = Date.now() * 1000;
    const last = this.windows.at(-1);
    if (last) last.to = Math.min(last.to, now);
    this.windows.push({ from: now - SLACK, to: Infinity, label });
  }

  /** Ends a step. */
  close(): void {
    const last = this.windows.at(-1);
    if (last) last.to = Date.now() * 1000 + SLACK;
  }

  /** The label of a time: a sent time, a time of a step, or so many seconds after a state's time. */
  time(time: Json | undefined, stateTime?: Json): Json {
    const at = micros(time);
    if (at === undefined) return time ?? null;
    const known = this.times.get(at) ?? this.windows.findLast(({ from, to }) => from <= at && at <= to)?.label;
    if (known !== undefined) return known;
    const base = micros(stateTime) ?? this.moments.at(-1)?.at ?? this.start;
    const seconds = Math.round((at - base) / SECOND);
    const label = `${this.times.get(base) ?? "start"}${seconds < 0 ? "" : "+"}${seconds}s`;
    this.times.set(at, label);
    return label;
  }

  /** The label of a run's duration: the time between two of its states, or another one. */
  growth(before: Json | undefined, after: Json | undefined, moments: readonly Json[]): Json {
    if (typeof before !== "number" || typeof after !== "number") return after ?? null;
    const by = Math.round((after - before) * SECOND);
    if (by === 0) return "same";
    // The latest first: if the clock has a resolution of milliseconds, several durations are the same.
    const times = moments.map((moment) => micros(moment) ?? 0);
    for (const [index, from] of [...times.entries()].toReversed()) {
      const to = times.slice(index + 1).findLastIndex((at) => Math.abs(at - from - by) <= ROUNDING);
      if (to >= 0) return `${word(this.time(moments[index]))}..${word(this.time(moments[index + 1 + to]))}`;
    }
    return by < 0 ? "shrunk" : "grown";
  }

  /** The value with labels for its ids and names. */
  value(value: Json | undefined): Json {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (!isObject(value)) return value ?? null;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.value(item)]));
  }

  text(text: string): string {
    const named = text.replaceAll(UUID, (id) => this.ids.get(id) ?? "some id").replaceAll(this.suffix, "~");
    return named.length > 200 ? `${named.slice(0, 40)}… (${named.length})` : named;
  }

  /** The label of a lease, by the order in which leases first came. */
  lease(id: Json | undefined): Json {
    if (typeof id !== "string") return null;
    if (!this.ids.has(id)) {
      this.leases += 1;
      this.ids.set(id, `lease ${this.leases}`);
    }
    return this.ids.get(id) ?? null;
  }

  private learn(timestamp: Json | undefined): void {
    const at = micros(timestamp);
    if (at === undefined || this.moments.some((moment) => moment.at === at)) return;
    const label = word(this.time(timestamp));
    this.times.set(at, label);
    this.moments.push({ at, label });
  }

  /** A state without its id and its empty details. */
  state(state: Json | undefined): Json {
    if (!isObject(state)) return state ?? null;
    const { type, name, message, data, timestamp, state_details: details } = state;
    this.learn(timestamp);
    const view: JsonObject = { is: `${word(type)}/${word(name)}`, at: this.time(timestamp) };
    if (message !== null) view["message"] = this.value(message);
    if (data !== null) view["data"] = this.value(data);
    if (isObject(details)) {
      for (const [key, value] of Object.entries(details)) {
        if (value === null || value === false || value === undefined) {
          if (key === "deferred" && value === null) view[key] = null;
          continue;
        }
        if (key === "deployment_concurrency_lease_id") view[key] = this.lease(value);
        else view[key] = micros(value) === undefined ? this.value(value) : this.time(value, timestamp);
      }
    }
    return view;
  }
}
