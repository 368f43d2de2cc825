/** One check of a value by a schema: what the schema's keywords may ask and do. */
import type { Failure } from "#lib/json-schema/failure";
import type { Target } from "#lib/json-schema/references";

/** A JSON Schema as it comes over the wire. */
export type JsonSchema = Record<string, unknown>;

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
  /** The same for the schema that a reference names. */
  applyTarget(target: Target): void;
  /** The same, but failures do not count: they go into the list. Without a list the first failure ends the check. */
  judge(value: unknown, schema: unknown, key?: string | number, failures?: Failure[]): Verdict;
  /** The schema that a reference names. */
  resolve(reference: string): Target;
  /** The same check, with references that start from the target's resource. */
  within(target: Target): Application;
  /** Whether the text has a match of the pattern; unknown where the pattern cannot be run. */
  isFound(pattern: string, text: string): boolean | "unknown";
  /** A key for each of the values: two values have the same key if and only if they are equal. Made once for each list. */
  keysOf(values: readonly unknown[]): ReadonlySet<string>;
  keyOf(value: unknown): string;
  /** Counts steps of the keyword itself. */
  spend(steps: number): void;
}

/** Checks a value by a keyword's rule. */
export type Keyword = (at: Application, rule: unknown) => void;
