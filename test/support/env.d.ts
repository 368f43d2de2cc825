import type { D1Migration } from "@cloudflare/vitest-plugin";
import type { Env } from "#env";

declare global {
  namespace Cloudflare {
    interface Env extends SluiceEnv {
      TEST_MIGRATIONS: D1Migration[];
      DB_OTHER: D1Database;
    }
  }
}

type SluiceEnv = Env;
