/** Replaces ids, times and names, which differ in each play of a scenario, by stable placeholders. */
import { isObject, type Json, sortKeys } from "./json.ts";

const UUID = /(?<![0-9a-f])[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}(?![0-9a-f])/gi;
const TIME = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)?/g;
const GENERATED_NAME = /^[a-z]+(?:-[a-z]+)+$/;
const NAME_KEYS = new Set(["name", "label", "prefect.resource.name", "prefect.name", "prefect.run-name"]);
const FIXED_NAMES = new Set(["default-agent-pool"]);
const DURATION_KEYS = new Set([
  "total_run_time",
  "estimated_run_time",
  "estimated_start_time_delta",
  "sum_estimated_run_time",
  "sum_estimated_lateness",
  "time_in_current_state",
]);
const VARYING_KEYS = new Set(["delay_seconds", "delay", "avg_slot_occupancy_seconds"]);
const LONGEST_TEXT = 300;
const YEAR_MS = 366 * 86_400_000;

export interface NormaliserOptions {
  /** The random part of every name of the scenario. */
  suffix: string;
  /** The server's address, which is hidden in absolute links. */
  baseUrl: string;
  /** The start of the play. Times within a year of the start are hidden. Other times are kept. */
  nowMs: number;
}

/** The placeholders of one play, by id. */
export class Normaliser {
  readonly placeholders = new Map<string, string>();
  readonly options: NormaliserOptions;

  constructor(options: NormaliserOptions) {
    this.options = options;
  }

  /** The label of an id is the step and path of its first occurrence, so a new id changes no other label. */
  learnIds(value: Json, place: string): void {
    if (typeof value === "string") {
      for (const [id] of value.matchAll(UUID)) this.learnId(id, place);
      return;
    }
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) this.learnIds(item, `${place}.${index}`);
      return;
    }
    if (!isObject(value)) return;
    for (const [key, item] of Object.entries(value)) {
      this.learnIds(item ?? null, `${place}.${this.text(key)}`);
    }
  }

  learnId(id: string, place: string): void {
    const known = canonical(id);
    if (!this.placeholders.has(known)) this.placeholders.set(known, `<id ${place}>`);
  }

  value(value: Json, key = ""): Json {
    if (typeof value === "string") return this.string(value, key);
    if (typeof value === "number") return number(value, key);
    if (Array.isArray(value)) return this.list(value, key);
    if (!isObject(value)) return value;
    return sortKeys(
      Object.fromEntries(
        Object.entries(value).map(([inner, item]) => [this.text(inner), this.value(item ?? null, inner)]),
      ),
    );
  }

  /** Replaces ids, times, names of the play and the server's address within a text. */
  text(text: string): string {
    return text
      .replaceAll(new URL(this.options.baseUrl).origin, "<origin>")
      .replaceAll(this.options.suffix, "<suffix>")
      .replaceAll(/sha256:[0-9a-f]{64}/g, "sha256:<checksum>")
      .replaceAll(/page-token=[^"&]+/g, "page-token=<token>")
      .replaceAll(UUID, (id) => this.placeholders.get(canonical(id)) ?? "<id>")
      .replaceAll(TIME, (time, zone: string | undefined) => this.time(time, zone));
  }

  /** The original keeps some tags in sets, so the order of tags is not compared. */
  private list(items: Json[], key: string): Json[] {
    const normalised = items.map((item) => this.value(item));
    return key === "tags" ? normalised.toSorted(byText) : normalised;
  }

  private string(value: string, key: string): string {
    const isGenerated = NAME_KEYS.has(key) && GENERATED_NAME.test(value) && !FIXED_NAMES.has(value);
    if (isGenerated && !value.includes(this.options.suffix)) return "<run-name>";
    const text = this.text(value);
    return text.length > LONGEST_TEXT ? "<text>" : text;
  }

  private time(time: string, zone: string | undefined): string {
    const timeMs = Date.parse(time);
    if (Math.abs(timeMs - this.options.nowMs) > YEAR_MS) return time;
    return zone === "Z" ? "<time>" : `<time${zone ?? " without zone"}>`;
  }
}

function byText(a: Json, b: Json): number {
  const [one, other] = [JSON.stringify(a), JSON.stringify(b)];
  return one < other ? -1 : Number(one > other);
}

function canonical(id: string): string {
  return id.toLowerCase().replaceAll("-", "");
}

function number(value: number, key: string): Json {
  if (DURATION_KEYS.has(key) && value !== 0) return "<duration>";
  if (VARYING_KEYS.has(key) && value > 0) return "<number>";
  return value;
}
