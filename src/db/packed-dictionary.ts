/**
 * The dictionary of packed columns (`db/packed.ts`): texts that nearly every event and log has. deflate refers to them
 * as if they stood before the packed text, so a row with a single event shrinks to a fifth instead of a half.
 *
 * Packed rows can only be read with the dictionary with which they were written. So a dictionary is never changed. Add
 * another one with the next number instead.
 */

const related = (kind: string, name = "") =>
  `{"prefect.resource.id":"prefect.${kind}.","prefect.resource.role":"${kind}","prefect.resource.name":"${name}"},`;

const flowRun = (type: string, name: string, from: string, fromName: string) =>
  `","event":"prefect.flow-run.${name}","resource":{"prefect.resource.id":"prefect.flow-run.","prefect.resource.name":"","prefect.run-count":"1","prefect.state-message":"","prefect.state-name":"${name}","prefect.state-timestamp":"","prefect.state-type":"${type}"},"related":[${related("flow")}],"payload":{"intended":{"from":"${from}","to":"${type}"},"initial_state":{"type":"${from}","name":"${fromName}"},"validated_state":{"type":"${type}","name":"${name}"}},"id":"`;

const taskRun = (type: string, name: string, from: string, fromName: string) =>
  `"received":"2026-"},{"occurred":"2026-","event":"prefect.task-run.${name}","resource":{"prefect.resource.id":"prefect.task-run.","prefect.resource.name":"","prefect.run-count":"1","prefect.state-message":"","prefect.state-name":"${name}","prefect.state-timestamp":"2026-","prefect.state-type":"${type}","prefect.orchestration":"client"},"related":[${related("flow-run")}${related("flow")}${related("deployment")}${related("work-queue", "default")}${related("work-pool")}{"prefect.resource.id":"prefect.tag.","prefect.resource.role":"tag"}],"payload":{"intended":{"from":"${from}","to":"${type}"},"initial_state":{"type":"${from}","name":"${fromName}","message":"","state_details":{}},"validated_state":{"type":"${type}","name":"${name}","message":"","state_details":{},"data":null},"task_run":{"name":"","task_key":"","dynamic_key":"","empirical_policy":{"max_retries":0,"retry_delay_seconds":0.0,"retries":0,"retry_delay":0},"tags":[],"labels":{},"task_inputs":{"x":[]},"run_count":1,"flow_run_run_count":1,"expected_start_time":"2026-","start_time":"2026-","end_time":"2026-","total_run_time":0.0}},"id":"01a","follows":"01a","received":"2026-`;

/** Rare texts come first and frequent texts last, because deflate needs fewer bits for near texts. */
export const FIRST_DICTIONARY = [
  `"prefect.infrastructure.identifier":"","prefect.infrastructure.status-code":"0"`,
  `"prefect.flow-run.pull-step.executed","payload":{"index":0,"qualified_name":"prefect.deployments.steps.set_working_directory","step_name":"set_working_directory","id":null,"inputs":{"directory":"/"}}`,
  `"prefect.work-pool.ready"prefect.work-pool.not-ready"prefect.work-pool.type":"process"prefect.work-queue.ready"prefect.work-queue.not-ready"prefect.deployment.ready"prefect.deployment.not-ready"prefect.deployment.created"prefect.deployment.updated"`,
  `"prefect.worker.submitted-flow-run"prefect.worker.executed-flow-run"resource":{"prefect.resource.id":"prefect.worker.process.","prefect.resource.name":"Worker ","prefect.version":"3.8.8","prefect.worker-type":"process"}`,
  `"prefect.concurrency-limit.acquired"prefect.concurrency-limit.released"{"prefect.resource.id":"prefect.concurrency-limit.","prefect.resource.role":"concurrency-limit","slots-acquired":"1","limit":"","timeout-seconds":""}`,
  `"Traceback (most recent call last):\\n  File \\"/usr/local/lib/python3.12/site-packages/prefect/flow_engine.py\\", line , in \\n    raise ValueError: ","Task run failed with exception: ","Flow run encountered an exception: ","Finished in state Completed()","Finished in state Failed(","Task run encountered an exception ","Created task run '' for task ''","Executing '' immediately...","Beginning flow run '' for flow ''","Downloading flow code from storage at '.'","Worker '' submitting flow run ''","Process for flow run '' exited cleanly.","Opening process...","Completed submission of flow run ''","Retry 1/3 will start seconds from now"`,
  flowRun("FAILED", "Failed", "RUNNING", "Running"),
  flowRun("CRASHED", "Crashed", "RUNNING", "Running"),
  flowRun("CANCELLED", "Cancelled", "CANCELLING", "Cancelling"),
  flowRun("PENDING", "Pending", "SCHEDULED", "Scheduled"),
  flowRun("RUNNING", "Running", "PENDING", "Pending"),
  flowRun("COMPLETED", "Completed", "RUNNING", "Running"),
  `"event":"prefect.flow-run.heartbeat","resource":{"prefect.resource.id":"prefect.flow-run.","prefect.resource.name":"","prefect.version":"3.8.8"},"related":[`,
  `[{"id":"01a","name":"prefect.worker","level":30,"message":"","timestamp":179","no_flow_run":1},{"id":"01a","name":"prefect.flow_runs","level":20,"message":"","timestamp":179},{"id":"01a","name":"prefect.task_runs","level":20,"message":"Finished in state Completed()","timestamp":179,"task_run_id":"01a`,
  taskRun("FAILED", "Failed", "RUNNING", "Running"),
  taskRun("PENDING", "Pending", "SCHEDULED", "Scheduled"),
  taskRun("RUNNING", "Running", "PENDING", "Pending"),
  taskRun("COMPLETED", "Completed", "RUNNING", "Running"),
].join("");
