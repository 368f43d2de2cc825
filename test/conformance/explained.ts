/** The intended differences from the original, each with its reason. Keep the list short. */
import type { TranscriptStep } from "./play.ts";

export interface Explained {
  /** Without a scenario, the explanation holds in every scenario. */
  scenario?: string;
  /** Without a step, the explanation holds in every step. */
  step?: RegExp;
  path: RegExp;
  holds?: (reference: TranscriptStep, target: TranscriptStep) => boolean;
  reason: string;
}

export const explained: Explained[] = [
  {
    path: /^\$/,
    holds: (reference, target) => reference.status === 500 && target.status >= 400 && target.status < 500,
    reason: "The original fails here (500); a clear refusal is better.",
  },
  {
    scenario: "flow-runs",
    step: /^bad label$/,
    path: /^\$/,
    reason: "The original keeps labels of any kind and can then no longer show the run; they are refused.",
  },
  {
    step: /^(create with old policy fields|flow run: old policy)$/,
    path: /^\$\.body\.request_body\.empirical_policy\.(retries|retry_delay)$/,
    reason: "The original writes what it made of the body into the body that it repeats; ours is repeated as it came.",
  },
  {
    scenario: "flow-runs",
    step: /^parameters too large$/,
    path: /^\$\.body\.(exception_detail\[0\]\.input|request_body)$/,
    reason: "The original repeats half a megabyte twice; a refusal of ours repeats no more than 64 KB.",
  },
  {
    step: /^sort (NEXT_SCHEDULED_START_TIME_ASC|END_TIME_DESC)$/,
    path: /^\$\.body\[\d+\]$/,
    holds: isTurned,
    reason:
      "On Postgres times that are not known are the latest, on SQLite, as here, the earliest; the original has both.",
  },
  {
    scenario: "task-run-filters",
    step: /^page in full$/,
    path: /^\$\.body\.results\[0\]\.(cache_(expiration|key)|dynamic_key|(expected|next_scheduled)_start_time|flow_run_run_count|labels|run_count|state_(name|type))$/,
    reason: "The original leaves these fields out of pages, and only there; ours shows the whole task run.",
  },
  {
    path: /^\$\.body(\.results)?(\[\d+\])?\.version_(id|info)$/,
    holds: (reference) => /deployments/.test(reference.request),
    reason:
      "The open-source original takes a deployment's version_info and forgets it; its client would read both fields.",
  },
  {
    scenario: "deployments",
    step: /^refused: cron in no time zone$/,
    path: /^\$\.body\.exception_detail\[4\]\.(type|msg|ctx\.(error|pattern))$/,
    reason: "Of recurrence rules' zones the original says a pattern that names all of them; ours says what is wrong.",
  },
  {
    scenario: "deployment-schedules",
    step: /^rrule: runs$/,
    path: /^\$\.body\[[3-8]\]\.expected_start_time$/,
    reason: "The original's recurrence rules (dateutil) know no summer time after 2037; here it goes on.",
  },
  {
    scenario: "deployment-schedules",
    step: /^interval over the change of clocks: runs$/,
    path: /^\$\.body\[[45]\]\.expected_start_time$/,
    reason:
      "An interval of whole days keeps its time of day: 02:30 is left out on one day, and 02:30 again on the next. The original stays at 03:30.",
  },
  {
    scenario: "bad-input",
    path: /^\$/,
    holds: (reference, target) => reference.status === 307 && target.status !== 404,
    reason: "A path whose last slash is the other way round is answered at once, which saves the redirection.",
  },
  {
    scenario: "bad-input",
    step: /^no charset$/,
    path: /^\$/,
    holds: (reference, target) => reference.status === 200 && target.status === 422,
    reason: "The original passes over a filter that is not called JSON and answers with everything; ours refuses it.",
  },
  {
    scenario: "bad-input",
    step: /^\/logs\/ other type$/,
    path: /^\$\.body\.exception_detail\[0\]\.(msg|ctx\.type_name)$/,
    reason: "What is no JSON is bytes to the original, and text here.",
  },
];

/** Whether the answer is the reference's list, but the first items are at the end, or the last items at the front. */
function isTurned(reference: TranscriptStep, target: TranscriptStep): boolean {
  const { body: wanted } = reference;
  const { body: found } = target;
  if (!Array.isArray(wanted) || !Array.isArray(found)) return false;
  return wanted.some(
    (_, by) => JSON.stringify([...wanted.slice(by), ...wanted.slice(0, by)]) === JSON.stringify(found),
  );
}
