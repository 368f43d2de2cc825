/** The contract between an object and its callers, and a call as it travels. */

/** The version of the calls that this code sends. Objects answer the version before, too: while a deployment spreads, both are sent. */
export const CALL_VERSION = 3;

/** The path of calls. */
export const CALL_PATH = "/call";

/** Which object a call is for. Each call carries it, and the object keeps it. */
export interface Identity {
  workspace: string;
  /** The pool's name; null for objects that have a workspace to themselves. */
  name: string | null;
}

/** A call as it travels: JSON in a request's body, for headers have a bound of a few kilobytes. */
export interface Call {
  v: number;
  /** Absent from calls of the version before that did not name the object. */
  object?: Identity;
  method: string;
  args: unknown[];
}

/** A method in a contract. `Signature` is what the method takes and gives. */
export interface Method<Signature extends (...args: never[]) => unknown> {
  /** Never there: it carries the type. */
  readonly signature?: Signature;
}

/** The methods that callers may name. */
export type Contract = Record<string, Method<(...args: never[]) => unknown>>;

/** Declares a method of a contract. */
export function method<Signature extends (...args: never[]) => unknown>(): Method<Signature> {
  return {};
}

type SignatureOf<M> = M extends Method<infer Signature> ? Signature : never;
type Args<M> = Parameters<SignatureOf<M>>;
type Result<M> = ReturnType<SignatureOf<M>>;

/** The methods of a contract as its object has them. */
export type Implementation<C extends Contract> = {
  [Name in keyof C]: (...args: Args<C[Name]>) => Result<C[Name]> | Promise<Result<C[Name]>>;
};

/** The methods of a contract as callers have them. */
export type Client<C extends Contract> = {
  [Name in keyof C]: (...args: Args<C[Name]>) => Promise<Result<C[Name]>>;
};

/** Methods that have another name since version 3. */
const RENAMED: Readonly<Record<string, string>> = { vitals: "liveness", standing: "placeInQueue" };

/** A call of version 2 as one of this version. There the first argument was the identity, or only the workspace. */
export function fromVersionBefore({ method, args: [first, ...args] }: Call): Call {
  const object = typeof first === "string" ? { workspace: first, name: null } : (first as Identity | undefined);
  return { v: CALL_VERSION, ...(object && { object }), method: RENAMED[method] ?? method, args };
}
