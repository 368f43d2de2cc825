/** Rules that are only for task runs: their flow run, the cache of their results, and the queue of background tasks. */
import { abort, reject, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

/** A task run of a flow run is RUNNING only while the flow run is RUNNING. */
export const preventRunningTasksFromStoppedFlows: Rule<TaskRunContext> = {
  to: statesOf("RUNNING"),
  decide({ flowRun }) {
    if (!flowRun || flowRun.state?.type === "RUNNING") return undefined;
    if (flowRun.state?.type !== "PAUSED") {
      return abort("The enclosing flow must be running to begin task execution.");
    }
    const { pause_timeout, pause_reschedule } = flowRun.state.state_details;
    return reject(`The flow is paused, new tasks can execute after resuming flow run: ${flowRun.id}.`, {
      type: "PAUSED",
      name: "NotReady",
      state_details: { pause_timeout, pause_reschedule },
    });
  },
};

/** A task run stores the run count that its flow run has while the task run runs. */
export const updateFlowRunTrackerOnTasks: Rule<TaskRunContext> = {
  to: statesOf("RUNNING"),
  after({ flowRun }) {
    return flowRun ? { changes: { flow_run_run_count: flowRun.run_count } } : undefined;
  },
};

/** If the cache key of a task run is in the cache, the task run gets the cached state and does not run. */
export const cacheRetrieval: Rule<TaskRunContext> = {
  to: statesOf("RUNNING"),
  decide({ cached }, proposed) {
    const { cache_key: key, refresh_cache: isRefresh } = proposed.state_details;
    if (!key || isRefresh || !cached) return undefined;
    return reject("Retrieved state from cache", { ...cached, name: "Cached" });
  },
};

/** How many characters a cache key has at most: the original's default. */
const MAX_KEY_LENGTH = 2000;

/** The state of a COMPLETED task run with a cache key is put into the cache under that key. */
export const cacheInsertion: Rule<TaskRunContext> = {
  to: statesOf("COMPLETED"),
  decide(_context, proposed) {
    if ((proposed.state_details.cache_key ?? "").length <= MAX_KEY_LENGTH) return undefined;
    // Prefect: `CacheInsertion` rejects a long key with the proposed state itself, so the state is written and cached.
    return reject(`Cache key exceeded maximum allowed length of ${MAX_KEY_LENGTH} characters.`, proposed);
  },
  after(_context, written) {
    const { cache_key, cache_expiration = null } = written.state_details;
    return cache_key ? { effects: [{ kind: "insert-cache", cache_key, cache_expiration }] } : undefined;
  },
};

/** The states of a background task keep the id of the task's parameters until the task runs. */
export const copyTaskParametersId: Rule<TaskRunContext> = {
  from: statesOf("SCHEDULED", "PENDING"),
  to: statesOf("PENDING", "RUNNING"),
  decide({ initial }, proposed) {
    if (!initial || proposed.state_details.task_parameters_id) return undefined;
    return { kind: "adjust", details: { task_parameters_id: initial.state_details.task_parameters_id } };
  },
};

/** A SCHEDULED background task goes into its queue. A task that awaits a retry comes before new tasks. */
export const enqueueScheduledTasks: Rule<TaskRunContext> = {
  to: statesOf("SCHEDULED"),
  after(_context, written) {
    if (!written.state_details.deferred) return undefined;
    return { effects: [{ kind: "enqueue-task-run", retry: written.name === "AwaitingRetry" }] };
  },
};
