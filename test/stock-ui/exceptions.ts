/** The faults that are known, each with its reason. */

const NO_AUTOMATIONS = "Sluice has no automations yet.";
const DEAD = "The address is dead in the original, too: its client and server make it, and its UI has no such page.";

export interface Exception {
  reason: string;
  /** The addresses and dialogs that may have the fault. Without it, all. */
  at?: RegExp;
  fault: RegExp;
  /** Whether the fault depends on how fast the page is. */
  isChance?: true;
}

/** Each of these must explain a fault, unless it is a matter of chance, or the script fails: then it is no longer needed. */
export const EXCEPTIONS: readonly Exception[] = [
  { reason: NO_AUTOMATIONS, at: /^routes$/, fault: /^\/automations\/automation\// },
  {
    reason: "The UI asks for a task run with an empty id if an artifact has none. The original refuses that, too.",
    at: /^\/artifacts\/artifact\//,
    fault: /^POST \/api\/task_runs\/filter: 422$/,
  },
  {
    reason: "Before it creates a block, the UI asks for one with the name. It expects that there is none.",
    at: /^block: create/,
    fault: /^GET \/api\/block_types\/slug\/secret\/block_documents\/name\/made-here: 404$/,
    isChance: true,
  },
  {
    reason: "The UI asks once more for the work pool that it has deleted.",
    at: /^work pool: delete$/,
    fault: /^(GET|POST) \/api\/work_pools\/made-here(\/.*)?: 404$/,
  },
  { reason: DEAD, at: /^\/work-queues\/work-queue\//, fault: /^view: Not Found$/ },
  { reason: DEAD, at: /^\/work-pools\/work-pool\/[^/]+\/worker\//, fault: /^view: Not Found$/ },
  { reason: DEAD, at: /^\/settings\/blocks\/catalog$/, fault: /^view: Not Found$/ },
  { reason: DEAD, at: /^\/events\?resource=/, fault: /^(view: Something went wrong!?|console: .*)$/ },
];

/** Which of the faults of an address have no exception. Notes the exceptions that are used. */
export function unexplained(path: string, faults: readonly string[], used: Set<Exception>): string[] {
  return faults.filter((fault) => {
    const exception = EXCEPTIONS.find(({ at, fault: pattern }) => (at?.test(path) ?? true) && pattern.test(fault));
    if (exception) used.add(exception);
    return exception === undefined;
  });
}
