import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: { bindings: { SLUICE_MODE: "local", TEST_MIGRATIONS: await readD1Migrations("migrations") } },
    }),
  ],
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["./test/support/setup.ts"],
    deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
  },
});
