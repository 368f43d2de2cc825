/** Facts that are not in the OpenAPI document: the kind of row that an id names, and good values of a field. */
import { RULES } from "./hostile.ts";

/** The place of a value: the name of its field, and the names of the fields around it. */
export interface Hint {
  name: string;
  path: string[];
}

const some = (kind: string) => [0, 1, 2].map((index) => `"«${kind}:${index}»"`);

const FRESH = '"«fresh:0»"';

/** The kinds of the ids and names in a path, by the start of the path and the parameter. */
const PARAMETERS: readonly (readonly [RegExp, RegExp, string])[] = [
  [/^\/concurrency_limits\/tag/, /tag/, "tag"],
  [/^\/concurrency_limits/, /id/, "limit"],
  [/^\/v2\/concurrency_limits/, /id_or_name/, "limit_v2_name"],
  [/^\/v2\/concurrency_limits/, /lease_id/, "lease"],
  [/^\/deployments\/name/, /flow_name/, "flow_name"],
  [/^\/deployments\/name/, /deployment_name/, "deployment_name"],
  [/^\/deployments/, /schedule_id/, "schedule"],
  [/^\/deployments/, /version_id/, "version"],
  [/^\/deployments/, /^id$/, "deployment"],
  [/^\/flow_runs\/.*\/input/, /key/, "input_key"],
  [/^\/flow_runs/, /^id$/, "flow_run"],
  [/^\/flows\/name/, /name/, "flow_name"],
  [/^\/flows/, /^id$/, "flow"],
  [/^\/flow_run_states/, /^id$/, "flow_run_state"],
  [/^\/task_run_states/, /^id$/, "task_run_state"],
  [/^\/task_runs/, /^id$/, "task_run"],
  [/^\/block_types/, /^id$/, "block_type"],
  [/^\/block_types/, /^slug$/, "block_type_slug"],
  [/^\/block_types/, /^block_document_name$/, "block_document_name"],
  [/^\/block_schemas/, /^id$/, "block_schema"],
  [/^\/block_schemas/, /^checksum$/, "block_schema_checksum"],
  [/^\/block_documents/, /^id$/, "block_document"],
  [/^\/ui\/task_runs/, /^id$/, "task_run"],
  [/^\/artifacts/, /^id$/, "artifact"],
  [/^\/artifacts/, /^key$/, "artifact_key"],
  [/^\/saved_searches/, /^id$/, "saved_search"],
  [/^\/variables\/name/, /name/, "variable_name"],
  [/^\/variables/, /^id$/, "variable"],
  [/^\/work_pools\/\{work_pool_name\}\/queues/, /^name$/, "queue_name"],
  [/^\/work_pools\/\{work_pool_name\}\/workers/, /^name$/, "worker_name"],
  [/^\/work_pools/, /name/, "pool_name"],
  [/^\/work_queues\/name/, /name/, "queue_name"],
  [/^\/work_queues/, /^id$/, "queue"],
];

/** The kind of row that a parameter of a path names, if any. */
export function kindOfParameter(path: string, name: string): string | undefined {
  return PARAMETERS.find(([start, parameter]) => start.test(path) && parameter.test(name))?.[2];
}

const TEMPLATES = [
  '"{{ flow.name | upper }} at {{ now() }}"',
  '"{% for one in many %}{{ one.a[0] }}{% else %}-{% endfor %}"',
  '"{% set a = {1: [2, (3, 4)]} %}{# note #}{% raw %}{{ {% endraw %}"',
  '"{{ a if b else c ~ d ** 2 // 3 is not none }}"',
  '"{% for a in b %}"',
  '"{{ \'a"',
  '"{{ «brackets:150» }}"',
  '"{{ «brackets:5000» }}"',
  '"{% if a %}{% macro f(x, y=1) %}{% call f(1) %}{% endcall %}{% endmacro %}{% endif %}"',
  '"{{ «sum:20000» }}"',
];

const FIELDS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^timezone$/, ['"UTC"', '"Europe/Berlin"', '"America/New_York"']],
  [/^anchor_date$/, ['"2026-01-01T00:00:00Z"', '"2020-03-29T02:30:00+01:00"', "0"]],
  [/^cron$/, ['"0 0 * * *"', '"*/5 * * * *"', '"0 9 * * 1-5"', '"* * * * * *"']],
  [/^view$/, ['"aggregate-worker-metadata"', '"aggregate-block-metadata"', '"nothing"']],
  [/^countable$/, ['"day"', '"time"', '"event"', '"resource"']],
  [/^page-token$/, some("page_token")],
  [/^(work_pool_name|work_pools)$/, some("pool_name")],
  [/^(work_queue_name|work_queue_names|queue_name)$/, some("queue_name")],
  [/^value$/, ['"\\"v\\""', '"text"', '"{\\"a\\":1}"']],
  [/^event$/, ['"prefect.flow-run.Completed"', '"prefect.task-run.Running"', '"thing.happened"']],
  [/^deployment_name$/, some("deployment_name")],
  [/^(templates|automations)$/, TEMPLATES],
  [/^version$/, ['"non-versioned"', '"1"', FRESH]],
  [/^capabilities$/, ['"write-path"', '"read-path"', FRESH]],
  [/^tag$/, some("tag")],
];

/** The range of a number field that has no range in the document. */
const RANGES: readonly (readonly [RegExp, number, number])[] = [
  [/duration/, 60, 3600],
  [/seconds|interval|delay/, 1, 100_000],
  [/^page$/, 1, 3],
  [/^offset$/, 0, 3],
  [/^(limit|max_runs|max_scheduled_runs|min_runs)$/, 1, 50],
  [/^slots$/, 1, 3],
];

/** The minimum and maximum of a number. */
export function rangeOf(hint: Hint): readonly [number, number] {
  const known = RANGES.find(([pattern]) => pattern.test(hint.name));
  return known ? [known[1], known[2]] : [0, 200];
}

const IDS: readonly (readonly [RegExp, string])[] = [
  [/^block_types?(_id)?$/, "block_type"],
  [/^block_schemas?(_id)?$/, "block_schema"],
  [
    /^(block_documents?|infrastructure_document|storage_document|default_result_storage_block)(_id)?$/,
    "block_document",
  ],
  [/^flow_run(_ids?|s)?$/, "flow_run"],
  [/^flow(_ids?|s)?$/, "flow"],
  [/^task_runs?(_id)?$|^parent_task_run_id$/, "task_run"],
  [/^deployments?(_ids?)?$/, "deployment"],
  [/^(work_queues?|work_pool_queues|queue)(_id)?$|^default_queue_id$/, "queue"],
  [/^work_pools?(_id)?$/, "pool"],
  [/^state(_id)?$/, "flow_run_state"],
  [/^(artifacts|latest)(_id)?$/, "artifact"],
  [/^variables$/, "variable"],
  [/^version_id$/, "version"],
  [/lease_id$/, "lease"],
];

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^flows$/, "flow_name"],
  [/^deployments$/, "deployment_name"],
  [/^work_pools$/, "pool_name"],
  [/^(work_queues|work_pool_queues)$/, "queue_name"],
  [/^artifacts$/, "artifact_key"],
  [/^block_types$/, "block_type_slug"],
  [/^block_documents$/, "block_document_name"],
  [/^variables$/, "variable_name"],
  [/concurrency_limits$|^v2$/, "limit_v2_name"],
];

const nearest = (hint: Hint, table: readonly (readonly [RegExp, string])[]): string | undefined =>
  [hint.name, ...hint.path.toReversed()]
    .flatMap((name) => table.find(([pattern]) => pattern.test(name))?.[1] ?? [])
    .at(0);

const TIMES = [
  '"2026-11-27T12:00:00Z"',
  '"2026-11-28T00:00:00+02:00"',
  '"2020-02-29T23:59:59.999999Z"',
  '"2099-01-01T00:00:00Z"',
  '"0001-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999999Z"',
];

/** Whether requests need a field that the document does not require: only anonymous documents have no name. */
export function isNeeded({ name, path }: Hint): boolean {
  return name === "name" && path.length === 1 && path[0] === "block_documents";
}

/** Valid texts for a field, as JSON. Some texts name existing rows, others are new names. */
export function textsOf(hint: Hint, format?: string): string[] {
  if (format === "date-time") return TIMES;
  if (format === "uuid") {
    const kind = nearest(hint, IDS) ?? "flow_run";
    return [...some(kind), '"0199f7d4-3c3c-7c3c-8c3c-3c3c3c3c3c3c"'];
  }
  if (format === "time-delta") return ["60", "3600.5", "86400"];
  if (/_time$|^(after_|before_|since|until|occurred|timestamp|history_start|history_end)$/.test(hint.name))
    return TIMES;
  if (hint.name === "rrule") return ['"FREQ=DAILY"', '"FREQ=WEEKLY;BYDAY=MO,FR;COUNT=5"', ...RULES];
  const known = FIELDS.find(([pattern]) => pattern.test(hint.name));
  if (known) return [...known[1]];
  const named = nearest(hint, NAMES);
  if (named !== undefined && /^(any_|names|like_|startswith_|name)$/.test(hint.name))
    return [...some(named), FRESH, FRESH, FRESH, FRESH];
  return ['"a"', '"some text"', FRESH, FRESH];
}
