/**
 * `prefect transfer`, from an original to the server and back to the original. The original beside each server starts
 * empty.
 */
import { bad, create, good, type Group } from "../case.ts";

const spare = "spare";

export const transfer: Group = {
  name: "transfer",
  steps: [
    bad("transfer"),
    bad("transfer --from here"),
    bad("transfer --from nope --to here"),
    bad("transfer --from here --to nope"),
    bad("transfer --from here --to here"),
    bad("transfer --from nowhere --to here"),
    good("transfer --from spare --to here"),
    { to: spare, path: "/variables/", body: { name: "moved_variable", value: { a: 1 }, tags: ["a"] } },
    { to: spare, path: "/v2/concurrency_limits/", body: { name: "moved-limit", limit: 3, slot_decay_per_second: 1 } },
    { to: spare, path: "/work_pools/", body: { name: "moved-pool", type: "process", concurrency_limit: 4 } },
    { to: spare, path: "/work_pools/moved-pool/queues", body: { name: "moved-queue", priority: 2 } },
    { ...create("flow", "/flows/", { name: "moved-flow", tags: ["a"] }), to: spare },
    {
      to: spare,
      path: "/deployments/",
      body: {
        flow_id: "{flow}",
        name: "moved-deployment",
        entrypoint: "flows.py:hello",
        work_pool_name: "moved-pool",
        work_queue_name: "moved-queue",
        parameters: { times: 2 },
        tags: ["a"],
        concurrency_limit: 2,
        schedules: [{ schedule: { cron: "0 3 1 1 *", timezone: "Europe/Paris" }, active: false }],
      },
    },
    bad("--prompt transfer --from spare --to here", { stdin: "n\n" }),
    good("transfer --from spare --to here", { isUnordered: true }),
    good("transfer --from spare --to here", { isUnordered: true }),
    good("variable inspect moved_variable"),
    good("gcl inspect moved-limit --output json"),
    good("work-pool inspect moved-pool --output json"),
    good("work-queue inspect moved-queue --pool moved-pool --output json"),
    good("deployment inspect moved-flow/moved-deployment --output json"),
    good("transfer --from here --to spare", { isUnordered: true }),
    good("--profile spare work-pool ls"),
    good("--profile spare deployment ls"),
    good("--profile spare variable ls"),
  ],
};
