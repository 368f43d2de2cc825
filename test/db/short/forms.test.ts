import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createdByForm } from "#db/short/created-by";
import { readDetails, shortDetails } from "#db/short/details";
import { inputsForm } from "#db/short/inputs";
import { flowPolicyForm, taskPolicyForm } from "#db/short/policy";
import { readStates, shortStates, type StatesRow } from "#db/short/states";
import { packUuid, unpackUuid } from "#db/short/uuid";
import { parseJson } from "#lib/json";
import { FlowRunPolicy, TaskRunPolicy } from "#wire/runs";
import { printState, type State, type StateDetails } from "#wire/state";
import { someDetails, someState } from "./values";

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

const whole = fc.oneof(fc.constant(0), fc.integer());
const flowPolicy = fc.record(
  {
    max_retries: whole,
    retry_delay_seconds: whole,
    retries: orNull(whole),
    retry_delay: orNull(whole),
    pause_keys: orNull(fc.array(fc.string(), { maxLength: 3 })),
    resuming: orNull(fc.boolean()),
    retry_type: orNull(fc.constantFrom("in_process" as const, "reschedule" as const)),
  },
  { requiredKeys: [] },
);
const delay = fc.double({ min: 0, max: 1e6, noNaN: true });
const taskPolicy = fc.record(
  {
    max_retries: whole,
    retry_delay_seconds: delay,
    retries: orNull(whole),
    retry_delay: orNull(fc.oneof(delay, fc.array(delay, { maxLength: 3 }))),
    retry_jitter_factor: orNull(delay),
  },
  { requiredKeys: [] },
);

test("a policy is the same in the short form and in the long form", () => {
  const check =
    ({ read, write }: typeof flowPolicyForm | typeof taskPolicyForm) =>
    (policy: object) => {
      const long = JSON.stringify(policy);
      const short = write(JSON.parse(long));
      expect(read(short)).toEqual(read(long));
      expect(short.length).toBeLessThanOrEqual(long.length);
    };
  fc.assert(fc.property(flowPolicy, check(flowPolicyForm)));
  fc.assert(fc.property(taskPolicy, check(taskPolicyForm)));
});

test("the policies of a stock client take two characters", () => {
  const stock = { max_retries: 0, retry_delay_seconds: 0, retries: 0, retry_delay: 0 };
  expect(taskPolicyForm.write(TaskRunPolicy.parse(stock))).toBe("[]");
  const ofFlow = { ...stock, pause_keys: [], resuming: false, retry_type: null };
  expect(flowPolicyForm.write(FlowRunPolicy.parse(ofFlow))).toBe("[]");
  expect(flowPolicyForm.write({})).toBe("{}");
});

test("a policy with a field that no client of this version sends stays as it is", () => {
  const text = '{"retries":0,"later":1}';
  expect(flowPolicyForm.write(JSON.parse(text))).toBe(text);
});

test("details of states are the same for every reader, without the ids of the row", () => {
  fc.assert(
    fc.property(someDetails, orNull(fc.uuid()), (details, own) => {
      for (const ids of [{}, { flow_run_id: own }, { flow_run_id: own, task_run_id: own }]) {
        const given: StateDetails = { ...details, ...ids };
        const again = readDetails(parseJson(JSON.stringify(shortDetails(given, ids))), ids);
        expect(shown(again)).toEqual(shown(given));
        // Details that a row had before there was a short form.
        expect(shown(readDetails(parseJson(JSON.stringify(given)), ids))).toEqual(shown(given));
      }
    }),
  );
});

const shown = (state_details: StateDetails) => printState({ ...BARE, state_details }).state_details;
const BARE = { id: "", type: "PENDING", name: "", timestamp: 0, message: null, data: null } as const;

test("states of a task run are the same in the short form, in the long form and in both", () => {
  fc.assert(
    fc.property(
      fc.array(someState, { minLength: 1, maxLength: 5 }),
      fc.nat({ max: 6 }),
      fc.uuid(),
      orNull(fc.uuid()),
      fc.nat({ max: 5 }),
      (states, present, id, flow_run_id, cut) => {
        const own = states.map((state) => ({
          ...state,
          state_details: { ...state.state_details, flow_run_id, task_run_id: id },
        }));
        const row = { id, flow_run_id, ...columnsOf(own[present]) };
        const long = parseJson(JSON.stringify(own)) as State[];
        const stored = shortStates(long, row);
        for (const items of [long, stored, [...stored.slice(0, cut), ...long.slice(cut)]])
          expect(readStates({ ...row, states: JSON.stringify(items) }).map(printState)).toEqual(long.map(printState));
      },
    ),
  );
});

const columnsOf = (state: State | undefined): Omit<StatesRow, "id" | "flow_run_id"> => ({
  state_id: state?.id ?? null,
  state_type: state?.type ?? null,
  state_timestamp: state?.timestamp ?? null,
});

test("the present state of a task run is read from the row's columns only if they are of this state", () => {
  const [id, state_id] = [crypto.randomUUID(), crypto.randomUUID()];
  const state: State = { ...BARE, id: state_id, message: "", name: "Pending", state_details: {} };
  const row = { id, flow_run_id: null, ...columnsOf(state) };
  const own = { ...state, state_details: { task_run_id: id, flow_run_id: null } };
  expect(JSON.stringify(shortStates([own], row))).toBe("[[0]]");
  const other = { ...row, state_timestamp: 1 };
  expect(readStates({ ...other, states: JSON.stringify(shortStates([own], other)) })).toEqual([own]);
});

test("inputs of a task run are the same in the short form", () => {
  const input = fc.oneof(
    fc.record({ input_type: fc.constant("task_run"), id: fc.uuid() }),
    fc.record({ id: fc.uuid() }),
    fc.record({ input_type: fc.constant("flow_run"), id: fc.uuid() }),
    fc.record({ input_type: fc.constant("parameter"), name: fc.string() }),
    fc.record({ input_type: fc.constant("task_run"), id: fc.string() }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.array(input, { maxLength: 3 })), (inputs) => {
      const long = JSON.stringify(inputs);
      expect(JSON.stringify(inputsForm.read(inputsForm.write(JSON.parse(long))))).toBe(long);
      expect(JSON.stringify(inputsForm.read(long))).toBe(long);
    }),
  );
});

test("the creator of a run is the same in the short form", () => {
  const by = fc.record({ id: maybe(orNull(fc.uuid())), type: orNull(fc.string()), display_value: orNull(fc.string()) });
  fc.assert(
    fc.property(by, (value) => {
      const long = JSON.stringify(value);
      expect(JSON.stringify(createdByForm.read(createdByForm.write(JSON.parse(long))))).toBe(long);
      expect(JSON.stringify(createdByForm.read(long))).toBe(long);
    }),
  );
});

test("a UUID takes 22 characters, and every other value is unchanged", () => {
  fc.assert(
    fc.property(fc.uuid(), (uuid) => {
      expect(packUuid(uuid)).toHaveLength(22);
      expect(unpackUuid(packUuid(uuid))).toBe(uuid);
      expect(packUuid(uuid.toUpperCase().replace("-", ""))).toBe(uuid.toUpperCase().replace("-", ""));
    }),
  );
  for (const value of [null, "", "text", 5, {}]) expect(unpackUuid(packUuid(value))).toBe(value);
});
