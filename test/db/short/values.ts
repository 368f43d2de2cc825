/** Random states, as the rules write them. */
import * as fc from "fast-check";
import { defaultStateName, type State, type StateDetails, STATE_TYPES } from "#wire/state";

const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const micros = fc.integer({ min: 0, max: 2_000_000_000_000_000 });

/** Random details, without the ids of the run. */
export const someDetails: fc.Arbitrary<StateDetails> = fc.record(
  {
    child_flow_run_id: orNull(fc.uuid()),
    scheduled_time: orNull(micros),
    cache_key: orNull(fc.string()),
    cache_expiration: orNull(micros),
    deferred: orNull(fc.boolean()),
    untrackable_result: fc.boolean(),
    pause_timeout: orNull(micros),
    pause_reschedule: fc.boolean(),
    pause_key: orNull(fc.string()),
    run_input_keyset: orNull(fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 })),
    refresh_cache: orNull(fc.boolean()),
    retriable: orNull(fc.boolean()),
    transition_id: orNull(fc.uuid()),
    task_parameters_id: orNull(fc.uuid()),
    traceparent: orNull(fc.string()),
    deployment_concurrency_lease_id: orNull(fc.uuid()),
  },
  { requiredKeys: [] },
);

/** A random state without the ids of a run. */
export const someState: fc.Arbitrary<State> = fc
  .record({
    id: fc.uuid(),
    type: fc.constantFrom(...STATE_TYPES),
    name: orNull(fc.string()),
    timestamp: micros,
    message: orNull(fc.string()),
    data: fc.jsonValue(),
    state_details: someDetails,
  })
  .map((state) => ({ ...state, name: state.name ?? defaultStateName(state.type) }));
