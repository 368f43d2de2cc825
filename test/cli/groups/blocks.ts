/** `prefect block`, `prefect artifact` and `prefect automation`. */
import { bad, create, good, type Group } from "../case.ts";

const NOBODY = "00000000-0000-4000-8000-000000000000";

export const blocks: Group = {
  name: "block",
  steps: [
    good("block ls"),
    good("block type ls"),
    good("block type ls --output json"),
    good("block type inspect secret"),
    bad("block type inspect nope"),
    good("block register --file block_types.py"),
    good("block register --module prefect.blocks.notifications"),
    bad("block register"),
    bad("block register --file nope.py"),
    bad("block register --module nope"),
    good("block type inspect place"),
    good("block create place"),
    bad("block create nope"),
    good("api GET /block_types/slug/place", { keep: { type: /"id": "([^"]+)"/ } }),
    good('api POST /block_schemas/filter --data \'{"block_schemas": {"block_type_id": {"any_": ["{type}"]}}}\'', {
      keep: { schema: /"id": "([^"]+)", "created": "[^"]+", "updated": "[^"]+", "checksum"/ },
    }),
    create("home", "/block_documents/", {
      name: "home",
      block_type_id: "{type}",
      block_schema_id: "{schema}",
      data: { street: "Main", key: "secret-words" },
    }),
    good("block ls"),
    good("block ls --output json"),
    good("block inspect place/home"),
    good("block inspect --id {home}"),
    good("block inspect place/home --output json"),
    bad("block inspect place/nope"),
    bad(`block inspect --id ${NOBODY}`),
    bad("block inspect"),
    good("block delete place/home"),
    bad("block delete place/home"),
    bad(`block delete --id ${NOBODY}`),
    good("block type delete place"),
    bad("block type delete place"),
    bad("block type delete secret"),
    bad("block ls --output xml"),
    bad("block type ls --output xml"),
    ...resultStorage(),
  ],
};

function resultStorage(): Group["steps"] {
  return [
    { method: "GET", path: "/block_types/slug/local-file-system", keepIdAs: "localType" },
    {
      path: "/block_schemas/filter",
      body: { block_schemas: { block_type_id: { any_: ["{localType}"] } } },
      keepIdAs: "localSchema",
    },
    create("results", "/block_documents/", {
      name: "results",
      block_type_id: "{localType}",
      block_schema_id: "{localSchema}",
      data: { basepath: "/data" },
    }),
    good("experimental result-storage inspect"),
    good("experimental result-storage set local-file-system/results"),
    good("experimental result-storage inspect"),
    good("experimental result-storage inspect --output json"),
    bad("experimental result-storage inspect --output xml"),
    bad("experimental result-storage set"),
    bad("experimental result-storage set nope"),
    bad("experimental result-storage set local-file-system/nope"),
    bad(`experimental result-storage set --id ${NOBODY}`),
    good("experimental result-storage clear"),
    bad("experimental result-storage clear --nope"),
    good("experimental result-storage inspect"),
    good("block delete local-file-system/results"),
  ];
}

export const artifacts: Group = {
  name: "artifact",
  steps: [
    good("artifact ls"),
    create("first", "/artifacts/", { key: "report", type: "markdown", data: "# One", description: "First." }),
    create("second", "/artifacts/", { key: "report", type: "markdown", data: "# Two" }),
    create("table", "/artifacts/", { key: "numbers", type: "table", data: '[{"a": 1}]' }),
    good("artifact ls"),
    good("artifact ls --all"),
    good("artifact ls --limit 1 --output json"),
    bad("artifact ls --output xml"),
    good("artifact inspect report"),
    good("artifact inspect report --limit 1 --output json"),
    bad("artifact inspect nope"),
    good("artifact delete --id {first}"),
    bad("artifact delete --id {first}"),
    good("artifact delete report"),
    bad("artifact delete nope"),
    bad("artifact delete"),
    bad("artifact delete numbers --id {table}"),
  ],
};

const AUTOMATION = {
  name: "cancel-late",
  description: "Cancels late runs.",
  enabled: true,
  trigger: {
    type: "event",
    posture: "Reactive",
    expect: ["prefect.flow-run.Late"],
    match: { "prefect.resource.id": "prefect.flow-run.*" },
    threshold: 1,
    within: 0,
  },
  actions: [{ type: "cancel-flow-run" }],
};

export const automations: Group = {
  name: "automation",
  steps: [
    good("automation ls"),
    bad("automation ls --nope"),
    good(`automation create --from-json '${JSON.stringify(AUTOMATION)}'`, { keep: { made: /([0-9a-f-]{36})/ } }),
    good("automation create --from-file automation.yaml"),
    bad("automation create"),
    bad("automation create --from-json nonsense"),
    bad("automation create --from-file nope.yaml"),
    bad('automation create --from-json \'{"name": "x"}\''),
    good("automation ls"),
    good("automation inspect cancel-late"),
    good("automation inspect --id {made} --json"),
    good("automation inspect --id {made} --yaml"),
    bad("automation inspect nope"),
    bad(`automation inspect --id ${NOBODY}`),
    good("automation pause cancel-late"),
    good("automation resume --id {made}"),
    bad("automation pause nope"),
    bad("automation resume nope"),
    good(`automation update --id {made} --from-json '${JSON.stringify({ ...AUTOMATION, name: "changed" })}'`),
    bad(`automation update --id ${NOBODY} --from-json '${JSON.stringify(AUTOMATION)}'`),
    good("automation delete changed"),
    bad("automation delete nope"),
    good("automation delete --all"),
  ],
};
