/** An R2 bucket whose calls fail on request: once, or from then on, as for a process that has died. */

/** What becomes of a call: it is carried out; it fails before or after it was carried out. */
export type Fault = "none" | "before" | "after";

/** What R2 says when it cannot answer now. */
export const UNAVAILABLE = "Service is temporarily unavailable. (10043)";

/** The methods that calls are made of; `body` is the read of an object's bytes. */
export type Call = "put" | "get" | "head" | "delete" | "list" | "body";

/** The bucket. `nextFault` is asked for each call, with the number of calls before it. */
export function faultyBucket(
  r2: R2Bucket,
  nextFault: (index: number, call: Call) => Fault,
  message = UNAVAILABLE,
): { bucket: R2Bucket; calls: Call[] } {
  const calls: Call[] = [];
  const around = async <T>(call: Call, make: () => Promise<T>): Promise<T> => {
    const fault = nextFault(calls.length, call);
    calls.push(call);
    if (fault === "before") throw new Error(`${call}: ${message}`);
    const result = await make();
    if (fault === "after") throw new Error(`${call}: ${message}`);
    return result;
  };
  const bucket = new Proxy(r2, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        const result = await around(name as Call, async () => Reflect.apply(value, target, args) as unknown);
        return name === "get" && result ? withBody(result as R2ObjectBody, around) : result;
      };
    },
  });
  return { bucket, calls };
}

/** The object, whose bytes are read by a call that can fail too. */
function withBody(
  object: R2ObjectBody,
  around: <T>(call: Call, make: () => Promise<T>) => Promise<T>,
): Pick<R2ObjectBody, "size" | "arrayBuffer"> {
  return { size: object.size, arrayBuffer: () => around("body", () => object.arrayBuffer()) };
}
