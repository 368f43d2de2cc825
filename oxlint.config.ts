/** The linter's rules, and who may import whom. */
import { defineConfig } from "oxlint";

interface Layer {
  name: string;
  /** Its files. Of two layers that have a file, the later one counts. */
  files: string[];
  /** How its files are imported. */
  imports: string[];
}

/** A slice of the API, without its routes. */
const slice = (name: string): Layer => ({
  name: `resources/${name}`,
  files: [`src/resources/${name}/**`],
  imports: [`#resources/${name}/**`],
});

/** What may be called of a Durable Object, and what is sent to it, lies far below the object itself. */
const CLIENTS = ["client", "call", "*/client", "*/messages"];

/** From the bottom to the top: a file imports its own layer and those before it. A slice imports the slices before it. */
const LAYERS: Layer[] = [
  { name: "lib and wire", files: ["src/lib/**", "src/wire/**"], imports: ["#lib/**", "#wire/**"] },
  { name: "db", files: ["src/db/**"], imports: ["#db/**"] },
  { name: "archive", files: ["src/archive/**"], imports: ["#archive/**"] },
  { name: "filters", files: ["src/filters/**"], imports: ["#filters/**"] },
  { name: "tools", files: ["src/{env,databases,tools}.ts"], imports: ["#env", "#databases", "#tools"] },
  { name: "secrets", files: ["src/secrets/**"], imports: ["#secrets/**"] },
  {
    name: "the objects' clients",
    files: CLIENTS.map((file) => `src/objects/${file}.ts`),
    imports: CLIENTS.map((file) => `#objects/${file}`),
  },
  { name: "events", files: ["src/events/**"], imports: ["#events/**"] },
  { name: "orchestration", files: ["src/orchestration/**"], imports: ["#orchestration/**"] },
  ...["variables", "saved-searches", "collections", "root", "run-states", "task-workers"].map(slice),
  ...["automations", "events", "logs", "block-types", "block-schemas", "block-documents"].map(slice),
  ...["task-runs", "work-pools", "concurrency-limits-v2", "concurrency-limits", "flow-runs"].map(slice),
  ...["artifacts", "deployments", "flows", "ui", "admin"].map(slice),
  { name: "services", files: ["src/services/**"], imports: ["#services/**"] },
  { name: "http", files: ["src/http/**"], imports: ["#http/**"] },
  {
    name: "routes",
    files: ["src/resources/*/routes.ts", "src/resources/*/*-routes.ts"],
    imports: ["#resources/*/routes", "#resources/*/*-routes"],
  },
  { name: "the objects", files: ["src/objects/**"], imports: ["#objects/**"] },
  {
    name: "the entry points",
    files: ["src/{worker,routes,describe,local}.ts"],
    imports: ["#app", "#worker", "#routes", "#describe", "#local"],
  },
];

const HONO = { name: "hono", message: "Only app.ts knows Hono." };
const DRIZZLE = { name: "drizzle-orm", message: "Rules decide, statements are the stores'." };
const RELATIVE = { group: ["../*", "../**"], message: "Other folders are imported by #folder/file." };

interface Bans {
  /** Imports that are refused besides those of higher layers, and why. */
  except?: { group: string[]; message: string }[];
  paths?: { name: string; message: string }[];
}

/** What files of a layer must not import. */
function bans(layer: Layer, { except = [], paths = [] }: Bans = {}) {
  const at = LAYERS.indexOf(layer);
  const above = LAYERS.slice(at + 1).flatMap(({ imports }) => imports);
  const below = LAYERS.slice(0, at + 1).flatMap(({ imports }) => imports);
  const upward = {
    // Of "#objects/**" the clients lie below.
    group: [...above, ...below.filter((name) => name.startsWith("#objects/")).map((name) => `!${name}`)],
    message: `This file is of the layer "${layer.name}", and what it imports lies above it.`,
  };
  return {
    "no-restricted-imports": ["error", { patterns: [upward, ...except, RELATIVE], paths: [HONO, ...paths] }],
  } as const;
}

const layerOf = (name: string): Layer => {
  const found = LAYERS.find((layer) => layer.name === name);
  if (!found) throw new Error(`no layer ${name}`);
  return found;
};

const NO_OTHER_STORE = {
  group: [
    "#resources/*/store",
    "#resources/*/*-store",
    "#orchestration/**",
    "#events/**",
    "#tools",
    "#env",
    "#objects/**",
  ],
  message: "A store imports db, filters, wire and lib, and no other store: what two share goes to db/rows.",
};
const SCHEMA_ONLY = {
  group: ["#db/**", "#orchestration/**", "#events/**", "#tools", "#env", "#objects/**"],
  message: "A schema is made of wire and filters.",
};
const PURE = {
  group: ["#db/**", "#filters/**", "#events/**", "#tools", "#env", "#objects/**"],
  message: "A rule is pure: it sees wire, lib and the transition, and does no I/O.",
};

const slices = LAYERS.filter(({ name }) => name.startsWith("resources/"));

export default defineConfig({
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  plugins: ["typescript", "unicorn", "oxc", "import", "promise"],
  categories: { correctness: "error", suspicious: "error", perf: "off" },
  ignorePatterns: ["dist/**", "migrations/**"],
  rules: {
    "import/no-cycle": "error",
    "import/no-default-export": "error",
    "typescript/no-floating-promises": ["error", { checkThenables: true }],
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "typescript/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
    "no-else-return": "error",
    eqeqeq: "error",
    "import/no-named-as-default-member": "off",
    "no-underscore-dangle": "off",
    "unicorn/consistent-function-scoping": "off",
    "unicorn/no-array-sort": "off",
    "typescript/no-unsafe-type-assertion": "off",
    "typescript/no-unnecessary-type-parameters": "off",
    "no-shadow": "off",
  },
  overrides: [
    {
      files: ["src/worker.ts", "vitest.config.ts", "drizzle.config.ts", "oxlint.config.ts", "src/text-modules.d.ts"],
      rules: { "import/no-default-export": "off" },
    },
    // The log is lib/log.ts alone.
    { files: ["src/**"], rules: { "no-console": "error" } },
    { files: ["src/lib/log.ts"], rules: { "no-console": "off" } },
    { files: ["src/**"], rules: { "max-lines": ["error", { max: 400 }] } },
    { files: ["test/**", "bench/**"], rules: { "no-await-in-loop": "off" } },
    {
      files: ["test/system/**"],
      rules: {
        "typescript/no-floating-promises": [
          "error",
          {
            checkThenables: true,
            allowForKnownSafeCalls: [{ from: "package", name: ["describe", "test"], package: "node:test" }],
          },
        ],
      },
    },
    // The objects come before their clients here, for the later one counts.
    ...[...LAYERS]
      .sort((one, other) => Number(other.name === "the objects") - Number(one.name === "the objects"))
      .map((layer) => ({ files: layer.files, rules: bans(layer) })),
    { files: ["src/lib/**", "src/wire/**"], rules: bans(layerOf("lib and wire"), { paths: [DRIZZLE] }) },
    {
      files: ["src/orchestration/rules/**", "src/orchestration/{bookkeeping,predicates,transition}.ts"],
      rules: bans(layerOf("orchestration"), { except: [PURE], paths: [DRIZZLE] }),
    },
    ...slices.flatMap((layer) => {
      const folder = layer.files[0]?.replace("/**", "");
      return [
        { files: [`${folder}/**/*schema.ts`], rules: bans(layer, { except: [SCHEMA_ONLY], paths: [DRIZZLE] }) },
        { files: [`${folder}/*store.ts`], rules: bans(layer, { except: [NO_OTHER_STORE] }) },
      ];
    }),
  ],
});
