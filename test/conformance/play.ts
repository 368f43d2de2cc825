/** Plays a scenario against a server and gives the transcript. Servers with equal answers have equal transcripts. */
import { at, isObject, type Json, type JsonObject, sortKeys } from "./json.ts";
import { Normaliser } from "./normalise.ts";

export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

export interface Server {
  /** Up to and including `/api`, without a slash at the end. */
  baseUrl: string;
  fetch: FetchLike;
  headers?: Record<string, string>;
}

export interface Scenario {
  name: string;
  play: (world: World) => Promise<void>;
}

/** The options of one step. */
export interface StepOptions {
  body?: Json;
  /** The text of a body that is sent unchanged, JSON or not. */
  raw?: string;
  headers?: Record<string, string>;
  /** The part of the answer that is compared; by default all of it. */
  view?: (body: Json) => Json;
  /** The answer is a list. Its order is not compared. */
  unordered?: boolean;
  /** Only the status is compared, because the step only creates rows for later steps. */
  quiet?: boolean;
  /** The request is repeated until `until` is true of the answer, for at most 15 seconds. */
  until?: (answer: Answer) => boolean;
}

export interface TranscriptStep {
  name: string;
  request: string;
  status: number;
  headers?: JsonObject;
  body?: Json;
}

const NO_ID = "00000000-0000-4000-8000-000000000000";
const KEPT_HEADERS = ["content-type", "location", "retry-after"];
const POLL_MS = 150;
const POLLS = 100;

/** An answer that later steps use. A missing id is read as an id that no row has. */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;

  constructor(status: number, headers: Headers, body: Json) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get id(): string {
    return this.text("id");
  }

  at(path: string): Json | undefined {
    return at(this.body, path);
  }

  text(path: string): string {
    const value = this.at(path);
    return typeof value === "string" ? value : NO_ID;
  }
}

/** What a scenario uses: its own names, its own ids, and a function that sends requests. */
export class World {
  readonly steps: TranscriptStep[] = [];
  readonly suffix = `x${crypto.randomUUID().replaceAll("-", "").slice(0, 9)}x`;
  private readonly server: Server;
  private readonly normaliser: Normaliser;
  private readonly names = new Set<string>();

  constructor(server: Server) {
    this.server = server;
    this.normaliser = new Normaliser({ suffix: this.suffix, baseUrl: server.baseUrl, nowMs: Date.now() });
  }

  /** A name that no other play uses. Names sort by their prefix. */
  name(prefix: string): string {
    return `${prefix}-${this.suffix}`;
  }

  /** A new id, which the transcript shows by its label. */
  id(label: string): string {
    const id = crypto.randomUUID();
    this.normaliser.learnId(id, label);
    return id;
  }

  /** A time relative to now, as clients write it. */
  time(offsetSeconds: number): string {
    return new Date(Date.now() + offsetSeconds * 1000).toISOString();
  }

  /** Sends `METHOD /path` as the step of this name, and adds the answer to the transcript. */
  async send(name: string, request: string, options: StepOptions = {}): Promise<Answer> {
    if (this.names.has(name)) throw new Error(`Two steps are called ${name}`);
    this.names.add(name);
    const answer = await this.ask(request, options);
    this.write({ name, request, options, answer });
    return answer;
  }

  private async ask(request: string, options: StepOptions): Promise<Answer> {
    for (let poll = 1; ; poll += 1) {
      const answer = await this.request(request, options);
      if (options.until === undefined || options.until(answer) || poll === POLLS) return answer;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  private async request(request: string, options: StepOptions): Promise<Answer> {
    const [method = "GET", path = ""] = request.split(" ", 2);
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await this.server.fetch(`${this.server.baseUrl}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...this.server.headers,
        ...options.headers,
      },
      redirect: "manual",
      ...(body === undefined ? {} : { body }),
    });
    return new Answer(response.status, response.headers, parse(await response.text()));
  }

  private write(step: { name: string; request: string; options: StepOptions; answer: Answer }): void {
    const { name, request, options, answer } = step;
    const whole = sortKeys(options.unordered === true ? this.inOrder(answer.body) : answer.body);
    this.normaliser.learnIds(whole, String(this.steps.length + 1));
    const written = { name, request: this.normaliser.text(request), status: answer.status };
    if (options.quiet === true) {
      this.steps.push(written);
      return;
    }
    const isSeen = options.view === undefined || answer.status >= 300;
    const body = isSeen ? whole : (options.view?.(whole) ?? null);
    this.steps.push({ ...written, headers: this.headersOf(answer), body: this.normaliser.value(body) });
  }

  private headersOf(answer: Answer): JsonObject {
    const kept: JsonObject = {};
    for (const name of KEPT_HEADERS) {
      const value = answer.headers.get(name);
      if (value !== null) kept[name] = name === "retry-after" ? "<number>" : this.normaliser.text(value);
    }
    return kept;
  }

  /** Sorts by name, then by the text without ids and times, because ids and times differ in each play. */
  private inOrder(body: Json): Json {
    if (!Array.isArray(body)) return body;
    const blind = new Normaliser(this.normaliser.options);
    const keyed = body.map((item) => ({
      item,
      key: `${JSON.stringify(at(item, "name") ?? null)} ${JSON.stringify(blind.value(item))}`,
    }));
    return keyed.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key))).map(({ item }) => item);
  }
}

/** The transcript of one scenario against one server. */
export async function play(scenario: Scenario, server: Server): Promise<TranscriptStep[]> {
  const world = new World(server);
  await scenario.play(world);
  return world.steps;
}

function parse(text: string): Json {
  if (text === "") return null;
  try {
    const body: Json = JSON.parse(text);
    return body;
  } catch {
    // An answer that is not JSON (a CSV download, an error page) is compared as text.
    return { text };
  }
}

/** A list with only these fields of each item. With one field, the list has only the values. */
export function pick(...fields: string[]): (body: Json) => Json {
  const one = (item: Json): Json => {
    const [only] = fields;
    if (fields.length === 1 && only !== undefined) return at(item, only) ?? null;
    return Object.fromEntries(fields.map((field) => [field, at(item, field) ?? null]));
  };
  return (body) => {
    if (Array.isArray(body)) return body.map(one);
    return isObject(body) && Array.isArray(body["results"])
      ? { ...body, results: body["results"].map(one) }
      : one(body);
  };
}
