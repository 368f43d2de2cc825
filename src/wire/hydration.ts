/** Fills in values that refer to others (`__prefect_kind`): JSON texts, and variables of the workspace. Pure. */
import { checkDepth, parseJson, TooDeep } from "#lib/json";
import { jsonError } from "#lib/json-problem";
import { isObject, pythonText } from "#lib/json-value";
import { templateProblem } from "#lib/template";
import { byteLength } from "#lib/bytes";

/** A value that cannot be hydrated. The message is for the client. */
export class HydrationError extends Error {}

/** Marks a value that is removed from the object or the list around it. */
const REMOVED = Symbol("removed");

/** The names of the variables to which values refer. */
export function variableNames(values: readonly unknown[]): Set<string> {
  const names = new Set<string>();
  // All names share one bound: a nested value is read again at each level, and counts again.
  collectNames(values, names, new Hydration(new Map(), undefined, true));
  return names;
}

function collectNames(value: unknown, names: Set<string>, hydration: Hydration): void {
  if (isObject(value) && value["__prefect_kind"] === "workspace_variable") {
    const name = ownName(value["variable_name"], hydration);
    if (typeof name === "string") names.add(name);
  }
  if (isObject(value) || Array.isArray(value))
    for (const item of Object.values(value)) collectNames(item, names, hydration);
}

/** A name may be written as JSON text. A name that depends on a variable is not known yet. */
function ownName(name: unknown, hydration: Hydration): unknown {
  try {
    return isObject(name) ? hydration.hydrate(name) : name;
  } catch (error) {
    if (error instanceof HydrationError) return undefined;
    throw error;
  }
}

/**
 * The maximum size of filled-in values, in bytes of JSON. A request may name one variable ten thousand times, and a row
 * of D1 has at most 2 MB.
 */
const MAX_BYTES = 1_048_576;

/** Prefect: `hydrate`. Gives the values with the texts and variables that they refer to. Throws `HydrationError`. */
export function hydrate(
  value: Record<string, unknown>,
  variables: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const hydration = new Hydration(variables);
  const hydrated = hydration.hydrate(value);
  if (hydration.isUsed) checkBounds(hydrated);
  return isObject(hydrated) ? hydrated : {};
}

/** Values among which symbols stand for values that are not known. */
export interface PartlyHydrated {
  values: unknown;
  /** The fault for which a symbol stands. Undefined for a template, which is rendered later. */
  messageOf: (symbol: symbol) => string | undefined;
}

/** Prefect: `hydrate` without `raise_on_error` and `render_jinja`. Throws `HydrationError` only if the values become too large. */
export function hydrateInPart(value: Record<string, unknown>, variables: ReadonlyMap<string, unknown>): PartlyHydrated {
  const messages = new Map<symbol, string>();
  const hydration = new Hydration(variables, messages);
  const values = hydration.hydrate(value);
  if (hydration.isUsed) checkBounds(values);
  return { values: values === REMOVED ? {} : values, messageOf: (symbol) => messages.get(symbol) };
}

function checkBounds(hydrated: unknown): void {
  const text = JSON.stringify(hydrated) ?? "";
  if (byteLength(text) > MAX_BYTES) throw tooLarge();
  parsed(() => {
    checkDepth(text);
  });
}

/** Gives the result of the work. Throws `HydrationError` if JSON nests too deep. */
function parsed<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TooDeep) throw new HydrationError(`Invalid JSON: ${error.message}`);
    throw error;
  }
}

function tooLarge(): HydrationError {
  return new HydrationError(`Values may take at most ${MAX_BYTES.toLocaleString("en-US")} bytes as JSON`);
}

class Hydration {
  readonly #variables: ReadonlyMap<string, unknown>;
  /** How long each variable is as JSON. */
  readonly #lengths = new Map<string, number>();
  readonly #messages: Map<symbol, string> | undefined;
  readonly #countsAll: boolean;
  #left = MAX_BYTES;

  /**
   * With `messages` a value that cannot be hydrated becomes a symbol with a message, and templates become symbols without
   * one. With `countsAll` each value takes a byte of the bound, because it may be read again and again.
   */
  constructor(variables: ReadonlyMap<string, unknown>, messages?: Map<symbol, string>, countsAll = false) {
    this.#variables = variables;
    this.#messages = messages;
    this.#countsAll = countsAll;
  }

  /** Whether anything was filled in. */
  get isUsed(): boolean {
    return this.#left < MAX_BYTES;
  }

  hydrate(value: unknown): unknown {
    if (this.#countsAll) this.#count(1);
    if (Array.isArray(value)) return value.map((item) => this.hydrate(item)).filter((item) => item !== REMOVED);
    if (!isObject(value)) return value;
    if (Object.hasOwn(value, "__prefect_kind")) return this.#resolve(value);
    const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, this.hydrate(item)]);
    return Object.fromEntries(entries.filter(([, item]) => item !== REMOVED));
  }

  #resolve(value: Record<string, unknown>): unknown {
    switch (value["__prefect_kind"]) {
      case "none":
        if (!Object.hasOwn(value, "value")) return this.#fault("Missing 'value' key in __prefect object");
        return this.hydrate(value["value"]);
      case "json":
        return Object.hasOwn(value, "value") ? this.#readText(this.#inner(value["value"])) : REMOVED;
      case "workspace_variable":
        return Object.hasOwn(value, "variable_name")
          ? this.#readVariable(this.#inner(value["variable_name"]))
          : REMOVED;
      case "jinja":
        if (!Object.hasOwn(value, "template")) return this.#fault("Missing 'template' key in __prefect object");
        return this.#readTemplate(this.#inner(value["template"]));
      default:
        return value["value"] ?? null;
    }
  }

  /** Prefect: a value inside is hydrated only if it is an object. */
  #inner(value: unknown): unknown {
    return isObject(value) ? this.hydrate(value) : value;
  }

  #readText(value: unknown): unknown {
    if (typeof value !== "string") return value;
    this.#count(value.length);
    const { json, problem } = readText(value);
    return problem === undefined ? json : this.#fault(`Invalid JSON: ${problem}`);
  }

  #readTemplate(template: unknown): unknown {
    if (typeof template === "symbol") return template;
    if (!this.#messages) return renderPlain(template);
    const text = typeof template === "string" ? template : pythonText(template);
    this.#count(text.length);
    const problem = templateProblem(text);
    return problem === undefined ? Symbol(text) : this.#fault(`Invalid jinja: ${problem.message}`);
  }

  #fault(message: string): symbol {
    if (!this.#messages) throw new HydrationError(message);
    const symbol = Symbol(message);
    this.#messages.set(symbol, message);
    return symbol;
  }

  #readVariable(name: unknown): unknown {
    if (typeof name === "symbol") return name;
    if (typeof name !== "string" || !this.#variables.has(name)) {
      const shown = typeof name === "string" ? name : pythonText(name);
      return this.#fault(`Variable '${shown}' not found in workspace.`);
    }
    const value = this.#variables.get(name);
    const length = this.#lengths.get(name) ?? (JSON.stringify(value) ?? "").length;
    this.#lengths.set(name, length);
    this.#count(length);
    return value;
  }

  #count(length: number): void {
    this.#left -= length;
    if (this.#left < 0) throw tooLarge();
  }
}

function readText(text: string): { json?: unknown; problem?: string } {
  try {
    return { json: parseJson(text) };
  } catch (error) {
    return { problem: error instanceof TooDeep ? error.message : jsonError(text) };
  }
}

/** A template without expressions is its own text. Other templates need a renderer, which this server does not have for parameters. */
function renderPlain(template: unknown): unknown {
  if (typeof template === "string" && !/\{\{|\{%|\{#/.test(template)) return template;
  throw new HydrationError("Invalid jinja: this server does not render templates in parameters.");
}
