/** What Sluice does not have yet: the original's automations. */

/** Scenarios that are recorded, but not compared. */
export const NOT_YET: ReadonlySet<string> = new Set([
  "automations",
  "bad-input-automations",
  "bad-requests-automations",
]);

/** Whether Sluice does not have an operation (`GET /flows/{id}`) yet. */
export function isNotYet(operation: string): boolean {
  return / \/automations\//.test(operation) && !operation.includes("/templates/");
}
