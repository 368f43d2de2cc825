/** The differences from the original that are known, each with its reason. Reasons are printed in docs/compatibility.md. */
import type { Played } from "./play.ts";

/**
 * Calls that need what Sluice does not have yet. They run like all others, and a difference counts as "not yet". Once
 * such calls have no difference, the script fails until their line is removed.
 */
export const NOT_YET: readonly { calls: RegExp; reason: string }[] = [
  { calls: /^automation /, reason: "Sluice has no automations yet." },
];

export interface Difference {
  /** The call as it is written in its group. */
  line: string;
  reference: Played;
  target: Played;
}

interface Explained {
  holds: (difference: Difference) => boolean;
  reason: string;
}

/** What `prefect transfer` prints of secrets and of how many things it has copied. */
const SECRETS = /^.*(?:secret|block-schema\/|Transfer completed:|Transferring resources).*\n?/gm;

/** Prefect: every server has the type Secret. `prefect transfer` copies no block of a type that the target refuses. */
const ofSecrets: Explained["holds"] = (difference) =>
  difference.line.includes("secret/moved-secret") ||
  (difference.line.startsWith("transfer --from spare --to here") && isSameWithout(SECRETS)(difference));

/** What the original prints for a deployment without versions, and what Sluice prints of its version. */
const VERSION = /^ *["']version_(?:id|info)["']: (?:[^{\n]*|\{[^}]*\}),\n/gm;

/** Each of these must explain a difference, or the script fails. */
export const explained: readonly Explained[] = [
  {
    holds: isSameWithout(VERSION),
    reason: "Sluice keeps the versions of deployments ([versions.md](versions.md)), the original's server does not.",
  },
  {
    holds: ({ line }) => /^work-pool (get-default-base-job-template|create pool-e --type nope)/.test(line),
    reason: "Sluice knows the types of work pools docker, kubernetes and process. Its templates have their own words.",
  },
  {
    holds: ({ line, target }) =>
      line.startsWith("work-queue delete default") && target.stderr.includes("is the default queue of its work pool"),
    reason: "Sluice says why a default queue cannot be deleted.",
  },
  {
    holds: isSameWithout(/^ *"work_queue_name": .*\n/gm),
    reason: "Sluice names the queue of a run that was created with a work pool alone.",
  },
  {
    holds: ofSecrets,
    reason: "Secrets travel to Sluice, and not to an original ([moving.md](moving.md)).",
  },
  {
    holds: ({ line }) => /^block (type ls|type inspect secret|create nope)/.test(line),
    reason:
      "Sluice has the block types Secret, Webhook and Local File System, with its own words. All others are there once a client has registered them ([blocks.md](blocks.md)).",
  },
  {
    holds: ({ line, target }) =>
      /^work-pool storage configure (s3|gcs) /.test(line) &&
      target.stdout.includes("block definition does not exist server-side"),
    reason:
      "`work-pool storage configure` needs the block types of the integration: first `prefect block register -m prefect_aws`, as Sluice's answer says.",
  },
  {
    holds: ({ line, target }) =>
      line === "concurrency-limit ls --limit 1 --offset 1" && target.stdout.includes("Concurrency Limits"),
    reason:
      "A page of `concurrency-limit ls` has limits of tags only. The original counts all global limits for the page, and leaves the others out afterwards.",
  },
];

/** Whether the outputs are the same without what a pattern matches. */
function isSameWithout(pattern: RegExp): Explained["holds"] {
  return ({ reference, target }) =>
    reference.code === target.code &&
    reference.stderr === target.stderr &&
    reference.stdout.replaceAll(pattern, "") === target.stdout.replaceAll(pattern, "");
}
