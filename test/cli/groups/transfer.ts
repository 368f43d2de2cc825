/**
 * `prefect transfer`, from an original to the server and back to the original. The server and the original beside it are
 * empty before, so this group is the first one.
 */
import { bad, good, type Group, type Request } from "../case.ts";

export const transfer: Group = {
  name: "transfer",
  steps: [
    bad("transfer"),
    bad("transfer --from here"),
    bad("transfer --from nope --to here"),
    bad("transfer --from here --to nope"),
    bad("transfer --from here --to here"),
    bad("transfer --from nowhere --to here"),
    good("transfer --from here --to spare"),
    ...things("spare", "moved"),
    bad("--prompt transfer --from spare --to here", { stdin: "n\n" }),
    good("transfer --from spare --to here", { isUnordered: true }),
    good("transfer --from spare --to here", { isUnordered: true }),
    ...looks("here", "moved"),
    bad("--profile here block inspect secret/moved-secret"),
    ...things("here", "back"),
    good("transfer --from here --to spare", { isUnordered: true }),
    ...looks("spare", "back"),
    ...looks("spare", "moved"),
    bad("--profile spare block inspect secret/back-secret"),
    // Later groups list blocks, and the schema of a secret differs.
    good("--profile here block delete secret/back-secret"),
    bad("--profile here block delete secret/moved-secret"),
  ],
};

/** Creates one of each thing that moves, with the word in its name. */
function things(to: "here" | "spare", word: string): Request[] {
  const type = { name: `Shelf ${word}`, slug: `shelf-${word}`, description: "A place for books." };
  const requests: Request[] = [
    { path: "/variables/", body: { name: `${word}_variable`, value: { a: 1 }, tags: ["a"] } },
    { path: "/v2/concurrency_limits/", body: { name: `${word}-limit`, limit: 3, slot_decay_per_second: 1 } },
    { path: "/concurrency_limits/", body: { tag: `${word}-tag`, concurrency_limit: 2 } },
    {
      path: "/work_pools/",
      body: { name: `${word}-pool`, type: "process", concurrency_limit: 4, is_paused: true, description: "A pool." },
    },
    { path: `/work_pools/${word}-pool/queues`, body: { name: `${word}-queue`, priority: 2, concurrency_limit: 1 } },
    { path: "/flows/", body: { name: `${word}-flow`, tags: ["a"] }, keepIdAs: "flow" },
    { path: "/deployments/", body: deployment(word) },
    { path: "/block_types/", body: type, keepIdAs: "type" },
    { path: "/block_schemas/", body: { block_type_id: "{type}", fields: shelf(word) }, keepIdAs: "schema" },
    {
      path: "/block_documents/",
      body: {
        name: `${word}-shelf`,
        block_type_id: "{type}",
        block_schema_id: "{schema}",
        data: { label: word, key: `the key of ${word}` },
      },
    },
    { method: "GET", path: "/block_types/slug/secret", keepIdAs: "secret" },
    {
      path: "/block_schemas/filter",
      body: { block_schemas: { block_type_id: { any_: ["{secret}"] } } },
      keepIdAs: "secretSchema",
    },
    {
      path: "/block_documents/",
      body: {
        name: `${word}-secret`,
        block_type_id: "{secret}",
        block_schema_id: "{secretSchema}",
        data: { value: `the secret of ${word}` },
      },
    },
  ];
  return requests.map((request) => ({ ...request, to }));
}

function deployment(word: string) {
  return {
    flow_id: "{flow}",
    name: `${word}-deployment`,
    entrypoint: "flows.py:hello",
    path: "/flows",
    version: "7",
    description: "A deployment.",
    work_pool_name: `${word}-pool`,
    work_queue_name: `${word}-queue`,
    parameters: { times: 2 },
    job_variables: { env: { A: "b" } },
    tags: ["a"],
    concurrency_limit: 2,
    concurrency_options: { collision_strategy: "CANCEL_NEW" },
    enforce_parameter_schema: true,
    parameter_openapi_schema: { type: "object", properties: { times: { type: "integer" } } },
    pull_steps: [{ "prefect.deployments.steps.set_working_directory": { directory: "/flows" } }],
    schedules: [
      {
        schedule: { cron: "0 3 1 1 *", timezone: "Europe/Paris" },
        active: false,
        parameters: { times: 3 },
        slug: "yearly",
      },
    ],
  };
}

function shelf(word: string) {
  return {
    title: `Shelf${word}`,
    type: "object",
    properties: { label: { type: "string" }, key: { type: "string", format: "password", writeOnly: true } },
    required: ["label", "key"],
    secret_fields: ["key"],
    block_type_slug: `shelf-${word}`,
    block_schema_references: {},
  };
}

/** Looks at what has arrived. */
function looks(at: "here" | "spare", word: string) {
  return [
    `variable inspect ${word}_variable --output json`,
    `gcl inspect ${word}-limit --output json`,
    `concurrency-limit inspect ${word}-tag --output json`,
    `work-pool inspect ${word}-pool --output json`,
    `work-queue inspect ${word}-queue --pool ${word}-pool --output json`,
    `deployment inspect ${word}-flow/${word}-deployment --output json`,
    `api GET /block_types/slug/shelf-${word}/block_documents/name/${word}-shelf?include_secrets=true`,
  ].map((line) => good(`--profile ${at} ${line}`));
}
