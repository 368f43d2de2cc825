/** JSON whose numbers keep their texts. */

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
/** V8's additions to JSON that TypeScript does not know yet. */
interface ExactJson {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): unknown;
}
const exactJson = JSON as unknown as ExactJson;

/** Parses JSON. Each number keeps its text, so `1.0` and `1` differ. `JSON.stringify` prints these numbers as they were. */
export function parseExactly(text: string): unknown {
  return exactJson.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined ? exactJson.rawJSON(source) : value,
  );
}
