/** JSON Schemas, what their keywords may ask and do in a check, and the schemas by which no value can be checked. */
import type { Failure } from "#lib/json-schema/failure";

/** A JSON Schema as it comes over the wire. */
export type JsonSchema = Record<string, unknown>;

/** A schema with its own URI (`$id`). References within the schema are relative to this URI. */
export interface Resource {
  readonly uri: string;
  readonly root: unknown;
}

/** The schema that a reference names. */
export interface Target {
  readonly schema: unknown;
  readonly resource: Resource;
}

/** The outcome of a check. It is unknown where it depends on a pattern that cannot be run. */
export type Verdict = "valid" | "invalid" | "unknown";

/** What a keyword is given: the value, the schema that has the keyword, and the ways to check more. */
export interface Application {
  readonly value: unknown;
  readonly schema: JsonSchema;
  /** Notes that the value fails the keyword. The message is made only if it is shown. */
  fail(message: () => string, context?: readonly Failure[]): void;
  /** Checks a value, or what it has under a key, by another schema. Failures there are failures here. */
  apply(value: unknown, schema: unknown, key?: string | number): void;
  /** Checks the value by the schema that a reference names. */
  applyTarget(target: Target): void;
  /** Checks as `apply` does, but the failures do not count: they go into the list. Without a list the first failure ends the check. */
  judge(value: unknown, schema: unknown, key?: string | number, failures?: Failure[]): Verdict;
  /** The schema that a reference names. */
  resolve(reference: string): Target;
  /** The same check, with references that start from the target's resource. */
  within(target: Target): Application;
  /** Whether the text has a match of the pattern; unknown where the pattern cannot be run. */
  isFound(pattern: string, text: string): boolean | "unknown";
  /** A key for each of the values: two values have the same key if and only if they are equal. Made once for each list. */
  keysOf(values: readonly unknown[]): ReadonlySet<string>;
  /** The key of one value. */
  keyOf(value: unknown): string;
  /** Counts steps of the keyword itself. */
  spend(steps: number): void;
}

/** Checks a value by a keyword's rule. */
export type Keyword = (at: Application, rule: unknown) => void;

/** A schema by which the value cannot be checked. The message is for the client. */
export class UnusableSchema extends Error {
  /** References in a circle, a reference to nothing, no valid JSON Schema, or more steps than one request may take. */
  readonly reason: "circular" | "unresolvable" | "invalid" | "costly";

  constructor(reason: UnusableSchema["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}
