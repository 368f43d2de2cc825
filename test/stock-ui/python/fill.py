"""Fills a server with something to show on each page, and prints the names and ids of these things as JSON."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from flows import failing, greet, parent
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events import emit_event
from prefect.states import Running
from prefect.variables import Variable

POOL = "pool"
HERE = Path(__file__).parent


async def run_flows():
    """A run with all that a run can have, and a failed run."""
    whole = await asyncio.to_thread(parent, return_state=True)
    failed = await asyncio.to_thread(failing, return_state=True)
    return whole.state_details.flow_run_id, failed.state_details.flow_run_id


async def deploy(client):
    """A deployment with two schedules, in a queue of a pool."""
    await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", description="A pool."))
    queue = await client.create_work_queue(name="queue", work_pool_name=POOL, priority=2)
    sourced = await asyncio.to_thread(greet.from_source, source=str(HERE), entrypoint="flows.py:greet")
    deployment_id = await sourced.deploy(
        name="daily",
        work_pool_name=POOL,
        work_queue_name="queue",
        schedules=[
            CronSchedule(cron="0 3 * * *", timezone="Europe/Paris"),
            IntervalSchedule(interval=timedelta(days=1)),
        ],
        parameters={"name": "you"},
        description="# Greets every day",
        tags=["greeting"],
        print_next_steps=False,
    )
    return deployment_id, queue.id


async def work(client, deployment_id):
    """A run of the deployment by a worker, which is then known to the server."""
    run = await client.create_flow_run_from_deployment(deployment_id, name="worked-run")
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "worker", "--run-once"]
    await asyncio.to_thread(subprocess.run, command, check=True, stdout=sys.stderr)
    return run.id


async def run_of_nobody(client, deployment_id, name):
    """A run that is Running for the server, though no process runs it."""
    run = await client.create_flow_run_from_deployment(deployment_id, name=name, state=Running())
    return str(run.id)


async def small_things(client):
    await Variable.aset("variable", {"a": [1, 2]}, tags=["tagged"])
    block_id = await Secret(value="hidden").save("secret")
    limit_id = await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="global", limit=3))
    tag_limit_id = await client.create_concurrency_limit(tag="limited", concurrency_limit=5)
    event = emit_event("order.placed", resource={"prefect.resource.id": "shop.order.1"}, payload={"amount": 3})
    return {
        "block": str(block_id),
        "globalLimit": str(limit_id),
        "tagLimit": str(tag_limit_id),
        "event": str(event.id),
        "eventDate": event.occurred.strftime("%Y-%m-%d"),
    }


async def ids_of_runs(client, whole_run_id):
    of_whole_run = FlowRunFilter(id={"any_": [whole_run_id]})
    tasks = await client.read_task_runs(
        flow_run_filter=of_whole_run, task_run_filter=TaskRunFilter(name={"like_": "double-"})
    )
    subflows = await client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [whole_run_id]}))
    artifacts = {artifact.key: str(artifact.id) for artifact in await client.read_artifacts(flow_run_filter=of_whole_run)}
    run = await client.read_flow_run(whole_run_id)
    return {
        "flow": str(run.flow_id),
        "taskRun": str(tasks[0].id),
        "subflowRun": str(subflows[0].id),
        "artifacts": artifacts,
    }


async def main():
    async with get_client() as client:
        whole_run_id, failed_run_id = await run_flows()
        deployment_id, queue_id = await deploy(client)
        worked_run_id = await work(client, deployment_id)
        filled = {
            "wholeRun": str(whole_run_id),
            "failedRun": str(failed_run_id),
            "deployment": str(deployment_id),
            "queueId": str(queue_id),
            "workedRun": str(worked_run_id),
            "endlessRun": await run_of_nobody(client, deployment_id, "endless-run"),
            "pausedRun": await run_of_nobody(client, deployment_id, "paused-run"),
            **await small_things(client),
            **await ids_of_runs(client, whole_run_id),
        }
    print(json.dumps(filled))


if __name__ == "__main__":
    asyncio.run(main())
