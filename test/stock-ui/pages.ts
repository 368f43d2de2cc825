/** The addresses of the UI: each of its routes and tabs, and what must be seen there. */

/** What fill.py has put into the server. Its names are written there. */
export interface Filled {
  flow: string;
  wholeRun: string;
  failedRun: string;
  workedRun: string;
  /** Running, as is the next one. */
  endlessRun: string;
  /** A dialog pauses it. */
  pausedRun: string;
  subflowRun: string;
  taskRun: string;
  deployment: string;
  queueId: string;
  block: string;
  globalLimit: string;
  tagLimit: string;
  event: string;
  /** The day of the event: `2026-11-28`. */
  eventDate: string;
  /** The ids of artifacts by their keys. */
  artifacts: Record<string, string>;
}

/** An address. */
export interface Address {
  path: string;
  /** A text of the data, so that the page is not only empty. */
  shows: string | RegExp;
  /** The address is reached from the one before it, which has the same page. */
  isNextTab?: boolean;
  /** The page shows what came before the present minute began. */
  isByMinute?: true;
}

const address = (path: string, shows: Address["shows"]): Address => ({ path, shows });

/** One address for each tab of a page. The page is loaded once. */
function tabs(path: string, parameter: string, shows: Record<string, Address["shows"]>): Address[] {
  return Object.entries(shows).map(([tab, text], index) => ({
    ...address(`${path}?${parameter}=${encodeURIComponent(tab)}`, text),
    isNextTab: index > 0,
  }));
}

/** All addresses that must work. */
export function addressesOf(filled: Filled): Address[] {
  const pool = "/work-pools/work-pool/pool";
  return [
    ...tabs("/runs", "tab", { "flow-runs": "whole-run", "task-runs": /^double-/ }),
    ...tabs(`/runs/flow-run/${filled.wholeRun}`, "tab", {
      Logs: "hello you",
      TaskRuns: /^double-/,
      SubflowRuns: "child",
      Artifacts: "report",
      Details: "Flow Run ID",
      Parameters: '"you"',
      JobVariables: "{}",
    }),
    address(`/runs/flow-run/${filled.failedRun}`, /ValueError/),
    address(`/runs/flow-run/${filled.endlessRun}`, "endless-run"),
    address(`/flow-runs/flow-run/${filled.wholeRun}`, "whole-run"),
    ...tabs(`/runs/task-run/${filled.taskRun}`, "tab", {
      Logs: /^doubling/,
      Artifacts: /of-a-task|artifacts/,
      TaskInputs: /number/,
      Details: "Task Run ID",
    }),
    address(`/flow-runs/task-run/${filled.taskRun}`, /^double-/),
    address("/flows", "parent"),
    ...tabs(`/flows/flow/${filled.flow}`, "tab", { runs: "whole-run", deployments: "parent", details: filled.flow }),
    address("/deployments", "daily"),
    ...tabs(`/deployments/deployment/${filled.deployment}`, "tab", {
      Details: "daily",
      Runs: "worked-run",
      Upcoming: "auto-scheduled",
      Parameters: "times",
      Configuration: "daily",
      Description: "Greets every day",
    }),
    address(`/deployments/deployment/${filled.deployment}/run`, "times"),
    address(`/deployments/deployment/${filled.deployment}/edit`, "daily"),
    address(`/deployments/deployment/${filled.deployment}/duplicate`, "daily"),
    address("/work-pools", "pool"),
    address("/work-pools/create", "Kubernetes"),
    ...tabs(pool, "tab", {
      Details: "A pool.",
      Runs: "worked-run",
      "Work Queues": "queue",
      Workers: "worker",
      Deployments: "daily",
    }),
    address(`${pool}/edit`, "pool"),
    address(`${pool}/queue/create`, "pool"),
    ...tabs(`${pool}/queue/queue`, "queueTab", {
      Details: "queue",
      "Upcoming Runs": "auto-scheduled",
      Runs: "worked-run",
    }),
    address(`${pool}/queue/queue/edit`, "queue"),
    address("/blocks", "secret"),
    address("/blocks/catalog", "Secret"),
    address("/blocks/catalog/secret", "Secret"),
    address("/blocks/catalog/secret/create", "Secret"),
    address(`/blocks/block/${filled.block}`, "secret"),
    address(`/blocks/block/${filled.block}/edit`, "secret"),
    address("/variables", "variable"),
    address("/automations", "Automations"),
    address("/automations/create", "Automations"),
    address(`/events/event/${filled.eventDate}/${filled.event}`, "order.placed"),
    // This page does not follow its address: a click changes both.
    address(`/events/event/${filled.eventDate}/${filled.event}?tab=raw`, /prefect\.resource\.id/),
    ...tabs("/concurrency-limits", "tab", { global: "global", "task-run": "limited" }),
    ...tabs(`/concurrency-limits/concurrency-limit/${filled.tagLimit}`, "tab", {
      "active-task-runs": "limited",
      details: "limited",
    }),
    address("/artifacts", "report"),
    address("/artifacts/key/report", "report"),
    ...Object.entries(filled.artifacts).map(([key, id]) => address(`/artifacts/artifact/${id}`, key)),
    ...tabs(`/artifacts/artifact/${filled.artifacts["report"]}`, "tab", {
      Artifact: "Second",
      Details: "report",
      Raw: "Second",
    }),
    address("/settings", "Settings"),
    address("/login", /.*/),
    // The last ones: the walk has then taken a minute, for which it else waits.
    { ...address("/", "failing"), isByMinute: true },
    { ...address("/dashboard", "failing"), isByMinute: true },
    { ...address("/events", "order.placed"), isByMinute: true },
  ];
}

/** Addresses that the stock client and server make, and that the UI does not have. `EXCEPTIONS` has all of them. */
export function deadAddressesOf(filled: Filled): Address[] {
  return [
    address(`/work-queues/work-queue/${filled.queueId}`, "Not Found"),
    address("/work-pools/work-pool/pool/worker/worker", "Not Found"),
    address("/settings/blocks/catalog", "Not Found"),
    address("/events?resource=prefect.flow-run.1", "Something went wrong"),
  ];
}
