/** The differences from the original that are known, each with its reason. Reasons are printed in docs/compatibility.md. */
import type { Played } from "./play.ts";

/**
 * Calls that need what Sluice does not have yet. They run like all others, and a difference counts as "not yet". Once
 * such calls have no difference, the script fails until their line is removed.
 */
export const NOT_YET: readonly { calls: RegExp; reason: string }[] = [
  { calls: /^(artifact|POST \/artifacts)/, reason: "Sluice has no artifacts yet." },
  { calls: /^automation /, reason: "Sluice has no automations yet." },
  {
    calls: /^(block|work-pool storage|api \w+ \/block|POST \/block|transfer --from here|--profile spare work-pool)/,
    reason: "Sluice has no blocks yet.",
  },
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
];

/** Whether the outputs are the same without what a pattern matches. */
function isSameWithout(pattern: RegExp): Explained["holds"] {
  return ({ reference, target }) =>
    reference.code === target.code &&
    reference.stderr === target.stderr &&
    reference.stdout.replaceAll(pattern, "") === target.stdout.replaceAll(pattern, "");
}
