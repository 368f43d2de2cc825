"""Prints what a server has, as the client reads it: all that `prefect transfer` moves, without ids and times."""

import asyncio
import json

from prefect.client.orchestration import get_client

DEPLOYMENT = (
    "name version description entrypoint path parameters parameter_openapi_schema enforce_parameter_schema tags"
    " job_variables paused pull_steps work_pool_name work_queue_name"
).split()
SCHEDULE = "schedule active max_scheduled_runs parameters slug".split()


def picked(thing, names):
    fields = thing.model_dump(mode="json")
    return {name: fields[name] for name in names}


async def described(client):
    deployments = await client.read_deployments()
    flows = {flow.id: flow.name for flow in await client.read_flows()}
    pools = await client.read_work_pools()
    yield "deployments", [
        {
            **picked(one, DEPLOYMENT),
            "flow": flows[one.flow_id],
            "schedules": sorted((picked(each, SCHEDULE) for each in one.schedules), key=lambda each: each["slug"]),
        }
        for one in deployments
    ]
    yield "pools", [picked(pool, "name type concurrency_limit is_paused base_job_template".split()) for pool in pools]
    yield "queues", [
        {**picked(queue, "name priority concurrency_limit is_paused description".split()), "pool": pool.name}
        for pool in pools
        for queue in await client.read_work_queues(work_pool_name=pool.name)
    ]
    yield "limits", [
        picked(limit, "name limit active".split()) for limit in await client.read_global_concurrency_limits()
    ]
    yield "variables", [picked(one, "name value tags".split()) for one in await client.read_variables()]
    yield "blocks", [
        {"name": one.name, "type": one.block_type.slug, "data": one.data}
        for one in await client.read_block_documents(include_secrets=True)
    ]


async def main():
    async with get_client() as client:
        things = {kind: sorted(json.dumps(one, sort_keys=True) for one in some) async for kind, some in described(client)}
    print(json.dumps(things))


asyncio.run(main())
