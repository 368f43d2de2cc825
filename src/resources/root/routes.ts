/** The routes that say whether the server works, and which version it has. */
import { namedObject } from "#wire/named";
import { sql } from "drizzle-orm";
import * as z from "zod";
import { API_VERSION } from "#http/api-version";
import { Reply, route } from "#http/route";
import { unprocessable } from "#lib/api-error";
import { log } from "#lib/log";
import { TimeText } from "#wire/dates";
import { EntityText } from "#wire/ids";

const CsrfToken = namedObject("CsrfToken", {
  ...EntityText,
  token: z.string(),
  client: z.string(),
  expiration: TimeText,
});

export const rootRoutes = [
  route(
    { method: "GET", path: "/health", summary: "Tell whether the server answers.", response: z.boolean() },
    () => true,
  ),
  route({ method: "GET", path: "/hello", summary: "Say hello.", response: z.string() }, () => "👋"),
  route(
    {
      method: "GET",
      path: "/ready",
      summary: "Tell whether the database answers too.",
      response: z.object({ message: z.string() }),
    },
    async ({ tools }) => {
      try {
        await tools.db.rows(sql`select 1`);
        return { message: "OK" };
      } catch (error) {
        log(tools, "error", "the database does not answer", { error });
        return new Reply({ message: "Database is not available" }, 503);
      }
    },
  ),
  route(
    { method: "GET", path: "/version", summary: "Read the version of the API.", response: z.string() },
    () => API_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/csrf-token",
      summary: "Refuse to give a CSRF token: clients send their key in a header, not in a cookie, and need none.",
      query: z.object({ client: z.string() }),
      response: CsrfToken,
    },
    () => {
      // Prefect: a client that gets this text requests no more tokens.
      throw unprocessable("CSRF protection is disabled.");
    },
  ),
];
