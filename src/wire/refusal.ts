/** What pydantic says of a value that a schema refuses. It is kept in the `params` of zod's issue, where `http/errors.ts` reads it. */
import * as z from "zod";

/** The `params` of an issue that has its own type. */
export interface RefusalParams {
  /** The `type` of the 422 answer's detail. */
  type: string;
  /** The `ctx` of the 422 answer's detail. */
  ctx?: Record<string, unknown>;
  /** The `input` of the 422 answer's detail, where it is not the value that was refused. */
  input?: unknown;
}

/** A schema's last argument. Zod calls `error` with each new issue, and keeps what is added to the issue. */
interface OwnWords {
  error: (issue: object) => string;
}

/** The words of a schema whose refusals have this type, message and context. */
export function refusal(type: string, message: string, ctx?: RefusalParams["ctx"]): OwnWords {
  const params: RefusalParams = { type, ...(ctx && { ctx }) };
  return { error: (issue) => (Object.assign(issue, { params }), message) };
}

/** The words of a union whose refusal names each branch. `branches` has the order of the union. */
export function branchNames(...branches: string[]): OwnWords {
  const params = { branches };
  return { error: (issue) => (Object.assign(issue, { params }), "Input should match one of the allowed shapes") };
}

/** Refuses a value within a transform, with this type, message and context. Gives what the transform has to return. */
export function refuse(
  context: z.core.$RefinementCtx,
  type: string,
  message: string,
  ctx?: RefusalParams["ctx"],
): typeof z.NEVER {
  context.addIssue({ code: "custom", message, params: { type, ...(ctx && { ctx }) } });
  return z.NEVER;
}
