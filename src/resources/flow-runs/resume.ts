/** Resumes a paused run, with the input that the run waits for. */
import { newColumns } from "#db/workspace-store";
import { integrityConflict, notFound } from "#lib/api-error";
import { parseJson } from "#lib/json";
import { UnusableSchema } from "#lib/json-schema/schema";
import { isObject } from "#lib/json-value";
import { printResult, statusOf } from "#orchestration/result";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { readVariables } from "#resources/flow-runs/parameters";
import { FlowRunInputStore } from "#resources/flow-runs/input-store";
import { FlowRunStore, stateOf } from "#db/rows/flow-runs";
import type { Tools } from "#tools";
import { hydrate, HydrationError } from "#wire/hydration";
import { valuesProblem } from "#wire/parameters";
import { printState, type State, type StateProposal } from "#wire/state";

type RunInput = Record<string, unknown>;

/** The answer and its status. */
interface Resumed {
  answer: unknown;
  status: 200 | 201;
}

/** Resumes a run. Throws 404 for an unknown run. If it is not paused, or the input is wrong, the answer says so. */
export async function resumeFlowRun(tools: Tools, id: string, given: RunInput): Promise<Resumed> {
  const run = await new FlowRunStore(tools).read(id);
  if (!run) throw notFound("Flow run");
  const state = stateOf(run);
  if (state?.type !== "PAUSED") return refusal("ABORT", null, "Cannot resume a flow run that is not paused.");
  const checked = await checkInput(tools, id, state, given);
  if ("refusal" in checked) return refusal("REJECT", state, checked.refusal);
  const result = await setFlowRunState(tools, id, proposalFor(tools, state), {
    alongside: (stateId) => keep(tools, id, state, checked.input, stateId),
  });
  return { answer: printResult(result), status: statusOf(result) };
}

/** Prefect: if the process of the run has ended, the run is scheduled. If the process waits, the run is Running. */
function proposalFor(tools: Tools, state: State): StateProposal {
  if (!state.state_details.pause_reschedule) return { type: "RUNNING" };
  return { type: "SCHEDULED", name: "Resuming", state_details: { scheduled_time: tools.clock() } };
}

/** Prefect: the details of a REJECT are those of an ABORT. */
function refusal(status: "ABORT" | "REJECT", state: State | null, reason: string): Resumed {
  return {
    answer: { state: state && printState(state), status, details: { type: "abort_details", reason } },
    status: 200,
  };
}

/** The input for the run, or the reason why it is refused. The input is null if the run waits for no input. */
async function checkInput(
  tools: Tools,
  id: string,
  state: State,
  given: RunInput,
): Promise<{ input: RunInput | null } | { refusal: string }> {
  const keyset = state.state_details.run_input_keyset;
  if (!keyset) return { input: null };
  const store = new FlowRunInputStore(tools);
  const [variables, schema, response] = await Promise.all([
    readVariables(tools, [given]),
    store.read(id, keyset["schema"] ?? ""),
    store.read(id, keyset["response"] ?? ""),
  ]);
  try {
    const input = hydrate(given, variables);
    const problem = problemWith(input, schema?.value);
    if (problem) return { refusal: problem };
    if (response && Object.keys(input).length > 0) throw integrityConflict();
    return { input };
  } catch (error) {
    if (error instanceof HydrationError) return { refusal: `Error hydrating run input: ${error.message}` };
    throw error;
  }
}

function problemWith(input: RunInput, schemaText: string | undefined): string | undefined {
  if (schemaText === undefined) return "Run input schema not found.";
  const schema = parse(schemaText);
  if (!isObject(schema)) return "Run input schema is not valid JSON.";
  try {
    const problem = valuesProblem(input, schema);
    return problem && `Reason: ${problem}`;
  } catch (error) {
    if (!(error instanceof UnusableSchema)) throw error;
    return `Invalid schema: ${error.message}`;
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined; // the caller refuses such a text
  }
}

/** The input is written in the batch of the new state, so that the run never continues without the input. */
function keep(tools: Tools, id: string, state: State, input: RunInput | null, stateId: string) {
  const key = state.state_details.run_input_keyset?.["response"];
  if (!input || key === undefined || Object.keys(input).length === 0) return [];
  const row = { ...newColumns(tools), flow_run_id: id, key, value: JSON.stringify(input), sender: null };
  return [new FlowRunInputStore(tools).insertOnState(row, stateId)];
}
