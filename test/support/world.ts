/** Builders. Each test creates its own rows, through the API or in D1. */
import { env, SELF } from "cloudflare:test";

export const WORKSPACE = "00000000-0000-4000-8000-000000000001";

/** Sends a request to the Worker and reads the JSON of the answer. */
export async function api<T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T; headers: Headers }> {
  const { text, ...answer } = await sendText(
    method,
    path,
    body === undefined ? undefined : JSON.stringify(body),
    headers,
  );
  return { ...answer, body: (text === "" ? null : JSON.parse(text)) as T };
}

/** Sends a request with a body that is already JSON text, and reads the text of the answer. */
export async function sendText(
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await SELF.fetch(`http://sluice/api${path}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** A name that no other test uses. */
export function unique(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Creates a flow in D1, and gives its id. */
export async function aFlow(name = unique("flow")): Promise<string> {
  const id = crypto.randomUUID();
  const now = Date.now() * 1000;
  await env.DB.prepare(
    "insert into flow (workspace_id, id, created, updated, name, tags, labels) values (?, ?, ?, ?, ?, '[]', '{}')",
  )
    .bind(WORKSPACE, id, now, now, name)
    .run();
  return id;
}

/** The fields of a run that tests read. */
export interface FlowRun {
  id: string;
  flow_id: string;
  name: string;
  state_type: string;
  state_name: string;
  state_id: string;
  run_count: number;
  [field: string]: unknown;
}

/** Creates a flow run through the API. `state` and the other fields are those of POST /flow_runs/. */
export async function aFlowRun(fields: Record<string, unknown> = {}): Promise<FlowRun> {
  const flowId = fields["flow_id"] ?? (await aFlow());
  const { status, body } = await api<FlowRun>("POST", "/flow_runs/", { flow_id: flowId, ...fields });
  if (status > 201) throw new Error(`a flow run was refused: ${JSON.stringify(body)}`);
  return body;
}

/** The flow run, from GET /flow_runs/{id}. */
export async function readFlowRun(id: string): Promise<FlowRun> {
  return (await api<FlowRun>("GET", `/flow_runs/${id}`)).body;
}

/** The fields of a deployment that tests read. */
export interface Deployment {
  id: string;
  name: string;
  flow_id: string;
  [field: string]: unknown;
}

/**
 * Creates a deployment through the API, for a new flow unless `fields` name a flow. `fields` are those of POST
 * /deployments/.
 */
export async function aDeployment<T extends { id: string } = Deployment>(
  fields: Record<string, unknown> = {},
): Promise<T> {
  const flowId = fields["flow_id"] ?? (await aFlow());
  const { status, body } = await api<T>("POST", "/deployments/", {
    name: unique("deployment"),
    flow_id: flowId,
    ...fields,
  });
  if (status > 201) throw new Error(`a deployment was refused: ${JSON.stringify(body)}`);
  return body;
}

/** Creates a run of a deployment through the API. `fields` are those of POST /deployments/{id}/create_flow_run. */
export async function aRunOf({ id }: { id: string }, fields: Record<string, unknown> = {}): Promise<FlowRun> {
  const { status, body } = await api<FlowRun>("POST", `/deployments/${id}/create_flow_run`, fields);
  if (status > 201) throw new Error(`a run of a deployment was refused: ${JSON.stringify(body)}`);
  return body;
}

/** The runs of a deployment, ordered by their expected start. */
export async function runsOf(deploymentId: string): Promise<FlowRun[]> {
  const body = { flow_runs: { deployment_id: { any_: [deploymentId] } }, sort: "EXPECTED_START_TIME_ASC" };
  return (await api<FlowRun[]>("POST", "/flow_runs/filter", body)).body;
}

/** The answer of `set_state`. */
export interface SetState {
  status: "ACCEPT" | "REJECT" | "ABORT" | "WAIT";
  state: { id: string; type: string; name: string } | null;
  details: { reason?: string };
}

/** Proposes a state for a flow run. */
export async function propose(id: string, state: Record<string, unknown>, force = false): Promise<SetState> {
  return (await api<SetState>("POST", `/flow_runs/${id}/set_state`, { state, force })).body;
}
