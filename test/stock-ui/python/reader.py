"""Reads from a server by the stock client: a request per line on stdin, as JSON, and its answer per line on stdout.

A request has a method of the client and its arguments. Filters among the arguments are as they are on the wire. A thing
that is not there is null.
"""

import asyncio
import json
import sys

from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel

FILTERS = {
    "flow_run_filter": filters.FlowRunFilter,
    "deployment_filter": filters.DeploymentFilter,
}


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


async def read(client, method, arguments):
    given = {name: FILTERS[name](**value) if name in FILTERS else value for name, value in arguments.items()}
    try:
        return plain(await getattr(client, method)(**given))
    except ObjectNotFound:
        return None


async def main():
    async with get_client() as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            print(json.dumps(await read(client, request["method"], request["arguments"])), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
