/** The routes by which clients find out whether and what is there. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { API_VERSION } from "#http/api-version";
import { Reply, route } from "#http/route";
import { unprocessable } from "#lib/api-error";
import { log } from "#lib/log";
import { TimeText } from "#wire/dates";
import { UuidText } from "#wire/ids";

const CsrfToken = z
  .object({
    id: UuidText,
    created: TimeText,
    updated: TimeText,
    token: z.string(),
    client: z.string(),
    expiration: TimeText,
  })
  .meta({ id: "CsrfToken" });

export const rootRoutes = [
  route({ method: "GET", path: "/health", summary: "Whether the server answers.", response: z.boolean() }, () => true),
  route({ method: "GET", path: "/hello", summary: "Say hello.", response: z.string() }, () => "👋"),
  route(
    {
      method: "GET",
      path: "/ready",
      summary: "Whether the database answers, too.",
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
    { method: "GET", path: "/version", summary: "The version of the API.", response: z.string() },
    () => API_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/csrf-token",
      summary: "A CSRF token. Clients show who they are by header, never by cookie, so none is given out.",
      query: z.object({ client: z.string() }),
      response: CsrfToken,
    },
    () => {
      // Prefect: the client looks for these words, and asks no more.
      throw unprocessable("CSRF protection is disabled.");
    },
  ),
];
