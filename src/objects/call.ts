/** The contract between an object and its callers, and the format of a call. */

/**
 * The version of the calls that this code sends. Objects also answer the previous version, because callers of both
 * versions run while a deployment spreads.
 */
export const CALL_VERSION = 3;

/** The path of calls. */
export const CALL_PATH = "/call";

/** The object that a call is for. Each call carries the identity, and the object keeps it. */
export interface Identity {
  workspace: string;
  /** The pool's name. Null if each workspace has only one object of the class. */
  name: string | null;
}

/** A call as it is sent: JSON in a request's body, because headers are limited to a few kilobytes. */
export interface Call {
  v: number;
  /** Absent if a call of the previous version did not name its object. */
  object?: Identity;
  method: string;
  args: unknown[];
}

/** A method in a contract. `Signature` is the type of its arguments and of its result. */
export interface Method<Signature extends (...args: never[]) => unknown> {
  /** Never set. Only carries the type. */
  readonly signature?: Signature;
}

/** The methods that callers may call. */
export type Contract = Record<string, Method<(...args: never[]) => unknown>>;

/** Declares a method of a contract. */
export function method<Signature extends (...args: never[]) => unknown>(): Method<Signature> {
  return {};
}

type SignatureOf<M> = M extends Method<infer Signature> ? Signature : never;
type Args<M> = Parameters<SignatureOf<M>>;
type Result<M> = ReturnType<SignatureOf<M>>;

/** The methods of a contract as its object implements them. */
export type Implementation<C extends Contract> = {
  [Name in keyof C]: (...args: Args<C[Name]>) => Result<C[Name]> | Promise<Result<C[Name]>>;
};

/** The methods of a contract as callers see them. */
export type Client<C extends Contract> = {
  [Name in keyof C]: (...args: Args<C[Name]>) => Promise<Result<C[Name]>>;
};

/** Methods that were renamed in version 3. */
const RENAMED: Readonly<Record<string, string>> = { vitals: "liveness", standing: "placeInQueue" };

/** Converts a call of version 2 into a call of this version. In version 2 the first argument was the identity, or only the workspace. */
export function fromVersionBefore({ method, args: [first, ...args] }: Call): Call {
  const object = typeof first === "string" ? { workspace: first, name: null } : (first as Identity | undefined);
  return { v: CALL_VERSION, ...(object && { object }), method: RENAMED[method] ?? method, args };
}
