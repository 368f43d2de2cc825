import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** The key of the tests, 32 bytes in base64. */
const SLUICE_SECRETS_KEY = Buffer.alloc(32, "test").toString("base64");
const TEST_MIGRATIONS = await readD1Migrations("migrations");

/** Tests of what does no I/O. They share a worker: most of their time would go to starting one for each file. */
const PURE = ["test/lib/**/*.test.ts", "test/orchestration/{rules/*,bookkeeping,decide,recorded,tell-pools}.test.ts"];

const project = (name: string, include: string[], exclude: string[], isolate: boolean) => ({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: { SLUICE_MODE: "local", SLUICE_ALLOWED_HOSTS: "sluice", SLUICE_SECRETS_KEY, TEST_MIGRATIONS },
        // For tests of workspaces with their own database. Such a test creates the tables.
        d1Databases: { DB_OTHER: "sluice-other" },
      },
    }),
  ],
  test: {
    name,
    include,
    exclude,
    isolate,
    // A test that waits in vain is ended; one on a slow machine is not.
    testTimeout: 60_000,
    setupFiles: ["./test/support/setup.ts"],
    deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
  },
});

export default defineConfig({
  test: { projects: [project("pure", PURE, [], false), project("worker", ["test/**/*.test.ts"], PURE, true)] },
});
