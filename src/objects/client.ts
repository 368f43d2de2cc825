/** Calls of objects: typed, with a version, as JSON in a request's body. Headers have a bound of a few kilobytes. */
import { type Cost, spend } from "#lib/cost";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { CALL_PATH, CALL_VERSION, type Call } from "#objects/call";

type Promised<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

/** The name of an object: its parts, ASCII, unmistakably parted. */
export function objectName(...parts: string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

/** A typed client of one object. `Methods` names what the object's `methods()` offers. A call that is refused or fails throws. */
export function objectClient<Methods>(namespace: DurableObjectNamespace, name: string, cost: Cost): Promised<Methods> {
  const stub = namespace.get(namespace.idFromName(name));
  return new Proxy({} as Promised<Methods>, {
    get:
      (_, method) =>
      async (...args: unknown[]) => {
        spend(cost, { object_calls: 1 });
        return callOf(stub, { v: CALL_VERSION, method: String(method), args });
      },
  });
}

async function callOf(stub: DurableObjectStub, call: Call): Promise<unknown> {
  const request = new Request(`https://object${CALL_PATH}`, { method: "POST", body: JSON.stringify(call) });
  const response = await stub.fetch(request);
  const { result, error } = parseJson(await response.text(), STORED_JSON_DEPTH) as { result?: unknown; error?: string };
  if (!response.ok) throw new Error(error ?? response.statusText);
  return result;
}
