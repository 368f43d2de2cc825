/** A schema that cannot be applied. */

/**
 * Why it cannot: it leads around in a circle, a reference leads nowhere, it is no JSON Schema, or it takes more steps with the
 * value than may be spent.
 */
export type UnusableReason = "circular" | "unresolvable" | "invalid" | "costly";

/** A schema that cannot be applied; its message is for the client. */
export class UnusableSchema extends Error {
  readonly reason: UnusableReason;

  constructor(reason: UnusableReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A schema that leads around in a circle, or that nests so deep that it might. */
export function circular(): UnusableSchema {
  return new UnusableSchema("circular", "Unable to validate schema with circular references.");
}
