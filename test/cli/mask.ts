/** Hides what differs in each run: ids, times, addresses, folders, and the width of columns. */

const UUID = /(?<![0-9a-f])[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}(?![0-9a-f])/gi;
const MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";

/** Replacements, in their order. */
const MASKS: readonly [RegExp, string][] = [
  [UUID, "<id>"],
  // A table cuts an id that is too long for its column.
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]*…/g, "<part of an id>"],
  [/\bblock-schema\/[0-9a-f]{8}\b/g, "block-schema/<part of an id>"],
  [/\/tmp\/tmp\w+/g, "<temporary folder>"],
  // Events are sent while the command ends, and some are waited for.
  [/^.*\| EventsWorker - Still processing items: .*\n?/gm, ""],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?/g, "<time>"],
  [/(?:datetime\.datetime|DateTime)\((?:[^()]|\([^()]*\))*\)/g, "<time>"],
  [new RegExp(`(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \\d+ (?:${MONTHS}) \\d{4} [\\d:]+ \\S+`, "g"), "<time>"],
  [/\d\d:\d\d:\d\d(?:\.\d{3,6})?/g, "<clock>"],
  [
    /\b(?:in )?(?:\d+|an?) (?:second|minute|hour|day|week|month|year)s?(?: (?:ago|from now))?\b|\bjust now\b/g,
    "<span>",
  ],
  [/\bprocess \d+|\bPID:? \d+/gi, "<process>"],
  [/\b0x[0-9a-f]{6,}\b/g, "<address>"],
  [/\b\d+(?:\.\d+)?e?-?\d* ?(?:ms|seconds)\b/g, "<span>"],
  [/(?<=[Ff]low run )'[a-z]+-[a-z]+'/g, "'<generated name>'"],
  [/"(estimated_run_time|total_run_time|estimated_start_time_delta)": -?[\d.e-]*[1-9][\d.e-]*/g, '"$1": <span>'],
  [/datetime\.timedelta\((?:days=|seconds=|microseconds=)[^()]*\)/g, "<span>"],
  // The list of events leaves out what the line before has too.
  [/● *(?:<clock>|[\d:.]+) [0-9a-f]{12}/g, "● <clock> <part of an id>"],
  [/\b\d+%/g, "<progress>"],
  [/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏](?= )/gm, "⠋"],
  // Tables are as wide as their longest cell.
  [/[─━═]{2,}/g, "─"],
  [/[ \t]+/g, " "],
  [/ *$/gm, ""],
];

/** A pattern that matches nothing. */
export const NOTHING = /(?!)/g;

export interface Hidden {
  /** Texts such as addresses and folders, each with its placeholder. */
  places: readonly (readonly [string, string])[];
  /** Values that the group keeps, by name. */
  kept: ReadonlyMap<string, string>;
}

/** The output of a command without what differs in each run. */
export function mask(output: string, { places, kept }: Hidden): string {
  const values = [...kept].map(([name, value]) => [value, `<${name}>`] as const);
  const named = [...places, ...values].reduce((text, [value, name]) => text.replaceAll(value, name), output);
  return MASKS.reduce((text, [pattern, placeholder]) => text.replaceAll(pattern, placeholder), named).trim();
}
