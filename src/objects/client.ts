/** Typed clients of objects. */
import { type Cost, spend } from "#lib/cost";
import { log } from "#lib/log";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { type Call, CALL_PATH, CALL_VERSION, type Client, type Contract, type Identity } from "#objects/call";
import type { Tools } from "#tools";

/** The name of an object: its parts in ASCII, joined by a character that no part contains. */
export function objectName(...parts: string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

/** The stub of the object with this identity, for upgrades. */
export function objectStub(namespace: DurableObjectNamespace, { workspace, name }: Identity): DurableObjectStub {
  return namespace.get(namespace.idFromName(name === null ? objectName(workspace) : objectName(workspace, name)));
}

/** A client of one object, made from the object's contract. Each method is one call. A call that is refused or fails throws. */
export function objectClient<C extends Contract>(
  contract: C,
  namespace: DurableObjectNamespace,
  object: Identity,
  cost: Cost,
): Client<C> {
  const stub = objectStub(namespace, object);
  const methods = Object.keys(contract).map((method) => [
    method,
    async (...args: unknown[]) => {
      spend(cost, { object_calls: 1 });
      return send(stub, { v: CALL_VERSION, object, method, args });
    },
  ]);
  // One method for each method of the contract.
  return Object.fromEntries(methods) as Client<C>;
}

/** Notifies an object of a change that is already committed. If the call fails, `message` is logged and nothing is thrown. */
export async function tell(
  tools: Tools,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  call: () => Promise<void>,
): Promise<void> {
  try {
    await call();
  } catch (error) {
    log(tools, "error", message, { ...fields, error });
  }
}

async function send(stub: DurableObjectStub, call: Call): Promise<unknown> {
  const request = new Request(`https://object${CALL_PATH}`, { method: "POST", body: JSON.stringify(call) });
  const response = await stub.fetch(request);
  const { result, error } = parseJson(await response.text(), STORED_JSON_DEPTH) as { result?: unknown; error?: string };
  if (!response.ok) throw new Error(error ?? response.statusText);
  return result;
}
