/** The log. Each line is a JSON object, which Cloudflare indexes. Only this file writes to the console. */

/** The request or job that a line is about, from its tools. Null or empty if it is not known. */
interface LogContext {
  readonly workspaceId?: string | null;
  readonly requestId?: string | null;
}

/**
 * Writes a line. `message` is the same for all lines of its kind. `fields` make the lines different: the ids of the
 * things that the line is about, and as `error` the thrown value. Never throws.
 *
 * @example
 * log(tools, "error", "a subflow of a cancelled run was not cancelled", { flow_run_id, error });
 */
export function log(
  { workspaceId, requestId }: LogContext,
  level: "error" | "warn",
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const line = { level, message, workspace_id: workspaceId || undefined, request_id: requestId || undefined };
  console[level](printed({ ...line, ...fields }) ?? JSON.stringify(line));
}

/** Null if a field cannot be printed, for example a big integer or an object that contains itself. */
function printed(line: object): string | null {
  try {
    return JSON.stringify(line, (_, value: unknown) =>
      value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value,
    );
  } catch {
    return null;
  }
}
