/** A task run whose cache key is in the cache gets the cached state, and does not run. */
import { ANY_STATE, reject, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

export const cacheRetrieval: Rule<TaskRunContext> = {
  name: "CacheRetrieval",
  from: ANY_STATE,
  to: statesOf("RUNNING"),
  decide({ cached }, proposed) {
    const { cache_key: key, refresh_cache: isRefresh } = proposed.state_details;
    if (!key || isRefresh || !cached) return undefined;
    return reject("Retrieved state from cache", { ...cached, name: "Cached" });
  },
};
