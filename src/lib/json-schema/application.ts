/** A schema that is held against a value: what its keywords may ask and do. */
import type { Failure } from "#lib/json-schema/failure";
import type { Target } from "#lib/json-schema/references";

/** A JSON Schema as it comes over the wire. */
export type JsonSchema = Record<string, unknown>;

/** What holding a value against a schema comes to. Unknown: it depends on a pattern that cannot be run. */
export type Verdict = "valid" | "invalid" | "unknown";

export interface Application {
  readonly value: unknown;
  readonly schema: JsonSchema;
  /** Says that the value fails the keyword. The words are made when they are told. */
  fail(message: () => string, context?: readonly Failure[]): void;
  /** Holds the value, or what it has under a key, against another schema; its failures are failures here. */
  apply(value: unknown, schema: unknown, key?: string | number): void;
  /** The same where a reference leads. */
  applyTarget(target: Target): void;
  /** The same, but the failures do not count; they are put into the list. Without a list, the first ends it. */
  judge(value: unknown, schema: unknown, key?: string | number, failures?: Failure[]): Verdict;
  /** Where a reference leads. */
  resolve(reference: string): Target;
  /** The same value with another of the schemas around it. */
  within(target: Target): Application;
  /** Whether a pattern is found in a text; unknown where it cannot be run. */
  isFound(pattern: string, text: string): boolean | "unknown";
  /** A text for each of the values, shared just by those that are equal. Made once for each list. */
  keysOf(values: readonly unknown[]): ReadonlySet<string>;
  keyOf(value: unknown): string;
  /** Counts steps of the keyword's own. */
  spend(steps: number): void;
}

/** What a keyword does with its rule. */
export type Keyword = (at: Application, rule: unknown) => void;
