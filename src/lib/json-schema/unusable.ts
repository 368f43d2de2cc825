/** The fault of a schema by which no value can be checked. */

/** The reason: references in a circle, a reference to nothing, no valid JSON Schema, or more steps than one request may take. */
export type UnusableReason = "circular" | "unresolvable" | "invalid" | "costly";

/** A schema by which the value cannot be checked. The message is for the client. */
export class UnusableSchema extends Error {
  readonly reason: UnusableReason;

  constructor(reason: UnusableReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A schema whose references form a circle, or that nests so deep that they may. */
export function circular(): UnusableSchema {
  return new UnusableSchema("circular", "Unable to validate schema with circular references.");
}
