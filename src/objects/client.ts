/** Calls of objects: typed, through itty-durable's proxy, with a version and in ASCII. */
import { proxyDurable } from "itty-durable";
import { type Cost, spend } from "#lib/cost";
import { CALL_VERSION, type Call } from "#objects/base";

type Promised<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

/** The name of an object: its parts, ASCII, unmistakably parted. */
export function objectName(...parts: string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

/** A typed client of one object. `Methods` names what the object's `methods()` offers. */
export function objectClient<Methods>(namespace: DurableObjectNamespace, name: string, cost: Cost): Promised<Methods> {
  const stub = proxyDurable(namespace, { name: "object", parse: true }).get(name) as {
    call(json: string): Promise<{ result: unknown }>;
  };
  return new Proxy({} as Promised<Methods>, {
    get:
      (_, method) =>
      async (...args: unknown[]) => {
        spend(cost, { object_calls: 1 });
        const call: Call = { v: CALL_VERSION, method: String(method), args };
        return (await stub.call(toAscii(JSON.stringify(call)))).result;
      },
  });
}

/** Escapes what a header cannot carry. */
function toAscii(json: string): string {
  return json.replaceAll(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
