/** JSON Schemas, the functions that keywords use in a check, and the error for unusable schemas. */
import type { Failure } from "#lib/json-schema/failure";

/** A JSON Schema from the wire. */
export type JsonSchema = Record<string, unknown>;

/** A schema with its own URI (`$id`). References in the schema are relative to this URI. */
export interface Resource {
  readonly uri: string;
  readonly root: unknown;
}

/** The schema that a reference names. */
export interface Target {
  readonly schema: unknown;
  readonly resource: Resource;
}

/** The outcome of a check. It is unknown if it depends on a pattern that cannot be run. */
export type Verdict = "valid" | "invalid" | "unknown";

/** The input of a keyword: the value, the schema that has the keyword, and functions for more checks. */
export interface Application {
  readonly value: unknown;
  readonly schema: JsonSchema;
  /** Records that the value fails the keyword. The message is made only if it is shown. */
  fail(message: () => string, context?: readonly Failure[]): void;
  /** Checks a value, or its part under a key, with another schema. Failures of that check are failures of this check. */
  apply(value: unknown, schema: unknown, key?: string | number): void;
  /** Checks the value with the schema that a reference names. */
  applyTarget(target: Target): void;
  /** Checks like `apply`, but the failures do not count: they are added to the list. Without a list the first failure ends the check. */
  judge(value: unknown, schema: unknown, key?: string | number, failures?: Failure[]): Verdict;
  /** The schema that a reference names. */
  resolve(reference: string): Target;
  /** The same check, with references that start from the target's resource. */
  within(target: Target): Application;
  /** Whether the text has a match of the pattern; unknown if the pattern cannot be run. */
  isFound(pattern: string, text: string): boolean | "unknown";
  /** The keys of the values. Two values have the same key if and only if they are equal. Made once per list. */
  keysOf(values: readonly unknown[]): ReadonlySet<string>;
  /** The key of one value. */
  keyOf(value: unknown): string;
  /** Counts steps of the keyword itself. */
  spend(steps: number): void;
}

/** Checks a value with a keyword's rule. */
export type Keyword = (at: Application, rule: unknown) => void;

/** The schema cannot be used to check the value. The message is for the client. */
export class UnusableSchema extends Error {
  /** A circle of references, a reference to nothing, an invalid JSON Schema, or more steps than one request may take. */
  readonly reason: "circular" | "unresolvable" | "invalid" | "costly";

  constructor(reason: UnusableSchema["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}
