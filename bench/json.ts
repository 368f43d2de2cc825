/** Reads single fields of answers that have no schema in the bench. */
export function stringField(json: string, name: string): string {
  const value = field(JSON.parse(json), name);
  if (typeof value !== "string") throw new Error(`the answer has no text field "${name}"`);
  return value;
}

export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

export function items(json: string): unknown[] {
  const value: unknown = JSON.parse(json);
  if (!Array.isArray(value)) throw new Error("the answer is not a list");
  return value;
}
