/** The state of a COMPLETED task run with a cache key is put into the cache under that key. */
import { ANY_STATE, reject, type Rule, statesOf, type TaskRunContext } from "#orchestration/transition";

/** In characters. The original's default. */
const MAX_KEY_LENGTH = 2000;

export const cacheInsertion: Rule<TaskRunContext> = {
  name: "CacheInsertion",
  from: ANY_STATE,
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
