/** The check of one value with one schema. It counts its steps and collects the failures. */
import type { Failure, Place } from "#lib/json-schema/failure";
import { References } from "#lib/json-schema/references";
import {
  type Application,
  type JsonSchema,
  type Keyword,
  type Target,
  UnusableSchema,
  type Verdict,
} from "#lib/json-schema/schema";
import { equalityKey, isObject, pythonText } from "#lib/json-value";
import { Pattern } from "#lib/pattern";
import { UnsupportedPattern } from "#lib/pattern/syntax";
import type { Steps } from "#lib/steps";

/** The keyword for values that stand for a fault. Schemas do not have it. */
export const PLACEHOLDER = "_placeholders";

/** How deep schemas may refer to each other. The original stops at about 300; values nest to 900 levels. */
const MAX_DEPTH = 1000;

/** A failure counts as this many steps, because it takes memory until the check ends. */
const STEPS_OF_FAILURE = 100;

/** How many characters of a key count as one step. */
const CHARACTERS_OF_STEP = 2;

/** A check. The constructor does the whole check. */
export class Validation {
  readonly failures: Failure[] = [];
  /** The patterns that could not be run, with the reasons. */
  readonly unsupported = new Map<string, string>();
  readonly #keywords: ReadonlyMap<string, Keyword>;
  readonly #steps: Steps;
  readonly #references: References;
  readonly #patterns = new Map<string, Pattern | UnsupportedPattern>();
  readonly #keys = new Map<readonly unknown[], ReadonlySet<string>>();
  #depth = 0;
  /** How many times an outcome depended on a pattern that could not be run. */
  #unknowns = 0;

  /** Throws `UnusableSchema`, `InvalidPattern` and `TooManySteps`. */
  constructor(value: unknown, schema: JsonSchema, keywords: ReadonlyMap<string, Keyword>, steps: Steps) {
    this.#keywords = keywords;
    this.#steps = steps;
    this.#references = new References(schema, steps);
    this.#check({ value, schema, place: undefined, resource: this.#references.root }, this.failures);
  }

  #check({ value, schema, place, resource }: Held, failures: Failures): void {
    this.#steps.spend(1);
    if (schema === false) {
      const message = () => `False schema does not allow ${pythonText(value)}`;
      this.#fail({ place, keyword: "", value, schema, message, context: [] }, failures);
    }
    if (!isObject(schema)) return;
    if (++this.#depth > MAX_DEPTH) throw circular();
    const own = this.#references.resourceOf(schema, resource);
    const rules = Object.entries(schema);
    // Only for a symbol does a keyword count that the schema does not have.
    if (typeof value === "symbol") rules.push([PLACEHOLDER, null]);
    for (const [keyword, rule] of rules) {
      this.#steps.spend(1);
      const check = this.#keywords.get(keyword);
      check?.(this.#application({ value, schema, place, resource: own }, keyword, failures), rule);
    }
    this.#depth--;
  }

  #application(held: Held & { schema: JsonSchema }, keyword: string, failures: Failures, references = 0): Application {
    const { value, schema, place, resource } = held;
    if (references > MAX_DEPTH) throw circular();
    // Prefect: if the schema `false` refuses a value, the failure has the place of the value around it.
    const at = (key: string | number | undefined, rule: unknown): Place | undefined =>
      key === undefined || rule === false ? place : { key, parent: place, depth: (place?.depth ?? 0) + 1 };
    return {
      value,
      schema,
      fail: (message, context = []) => {
        this.#fail({ place, keyword, value, schema, message, context }, failures);
      },
      apply: (inner, rule, key) => {
        this.#check({ value: inner, schema: rule, place: at(key, rule), resource }, failures);
      },
      applyTarget: (target) => {
        this.#check({ value, place, ...target }, failures);
      },
      judge: (inner, rule, key, found) =>
        this.#judge({ value: inner, schema: rule, place: at(key, rule), resource }, found),
      resolve: (reference) => this.#references.resolve(reference, resource),
      within: (target) => this.#application({ ...held, resource: target.resource }, keyword, failures, references + 1),
      isFound: (pattern, text) => this.#isFound(pattern, text),
      keysOf: (values) => this.#keysOf(values),
      keyOf: (inner) => this.#keyOf(inner),
      spend: (steps) => {
        this.#steps.spend(steps);
      },
    };
  }

  #judge(held: Held, failures: Failures): Verdict {
    const [depth, before, unknowns] = [this.#depth, failures?.length ?? 0, this.#unknowns];
    try {
      this.#check(held, failures);
    } catch (error) {
      if (error !== FAILED) throw error;
      this.#depth = depth;
      return "invalid";
    }
    // A pattern that cannot be run counts as a match, so it causes no failure.
    if (failures && failures.length > before) return "invalid";
    return this.#unknowns > unknowns ? "unknown" : "valid";
  }

  #fail(failure: Failure, failures: Failures): void {
    if (!failures) throw FAILED;
    this.#steps.spend(STEPS_OF_FAILURE);
    failures.push(failure);
  }

  #isFound(source: string, text: string): boolean | "unknown" {
    const pattern = this.#patternOf(source);
    if (pattern instanceof Pattern) return pattern.isFoundIn(text, this.#steps);
    this.unsupported.set(source, pattern.message);
    this.#unknowns++;
    return "unknown";
  }

  #patternOf(source: string): Pattern | UnsupportedPattern {
    let pattern = this.#patterns.get(source);
    if (pattern) return pattern;
    this.#steps.spend(source.length);
    try {
      pattern = new Pattern(source);
    } catch (error) {
      if (!(error instanceof UnsupportedPattern)) throw error;
      pattern = error;
    }
    this.#patterns.set(source, pattern);
    return pattern;
  }

  #keysOf(values: readonly unknown[]): ReadonlySet<string> {
    const known = this.#keys.get(values);
    if (known) return known;
    const keys = new Set(values.map((value) => this.#keyOf(value)));
    this.#keys.set(values, keys);
    return keys;
  }

  #keyOf(value: unknown): string {
    const key = equalityKey(value);
    this.#steps.spend(1 + Math.ceil(key.length / CHARACTERS_OF_STEP));
    return key;
  }
}

/** The list to which failures are added; undefined if the first failure ends the check. */
type Failures = Failure[] | undefined;

/** The references of a schema form a circle, or nest so deep that they may form one. */
const circular = () => new UnusableSchema("circular", "Unable to validate schema with circular references.");

/** Thrown at the first failure of a check, if only the outcome is needed. */
const FAILED = new Error("a value fails its schema");

/** A value, the schema that checks it, and the places of both. */
interface Held extends Target {
  value: unknown;
  place: Place | undefined;
}
