"""Sends JSON of every kind to the routes with users' JSON, reads it, and prints the differences."""

import asyncio
import json
import os
import random
import traceback
import uuid
from datetime import datetime, timedelta, timezone

import orjson
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Variable
from prefect.events import Event, get_events_subscriber
from prefect.events.clients import PrefectEventsClient
from prefect.events.filters import EventFilter, EventNameFilter

INTEGERS = [0, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**60 + 1, -(2**63), 2**64, 10**29 + 7]
FLOATS = [3.0, -0.0, 0.1, 100.0, 1e16, 1e22, 1.5e-7, 5e-324, 1.7976931348623157e308]
NUMBERS = [*INTEGERS, *FLOATS]
TEXTS = ["", "a", "é", "😀", "\u2028", "\x00\x07", '"quoted" \\ text', "1.0", "[1e400, 2.0]", "__proto__", "{{ x }}"]
NAMES = ["a", "__proto__", "constructor", "toString", "1", "10", "2", "é", "hasOwnProperty", "x y", ""]


def value(random: random.Random, depth: int = 4):
    kind = random.random()
    if depth == 0 or kind < 0.5:
        return random.choice([*NUMBERS, *TEXTS, True, False, None])
    if kind < 0.75:
        return [value(random, depth - 1) for _ in range(random.randint(0, 4))]
    return mapping(random, depth)


def mapping(random: random.Random, depth: int = 4):
    return {name: value(random, depth - 1) for name in random.sample(NAMES, random.randint(0, 5))}


def nested(depth: int):
    inner = 2**60 + 1
    for level in range(depth):
        inner = [inner] if level % 2 else {"__proto__": inner}
    return inner


def is_readable(value) -> bool:
    """Whether the client's model of a variable accepts a value: 64-bit integers, and limited depth."""
    try:
        Variable(name="any", value=value)
        return True
    except ValueError:
        return False


def is_same(one, two) -> bool:
    """Whether two values are equal and of the same types, at every level."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(is_same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(is_same, one, two))
    return one == two and repr(one) == repr(two)


class Routes:
    """The values that are sent to each route and that other routes return."""

    def __init__(self, client, random: random.Random):
        self.client = client
        self.random = random
        self.wrong: list[str] = []
        self.checks = 0

    async def ask(self, method: str, path: str, **body):
        response = await self.client._client.request(method, path, **({"json": body["json"]} if body else {}))
        return json.loads(response.content) if response.content else None

    def check(self, where: str, sent, read) -> None:
        self.checks += 1
        if not is_same(sent, read):
            self.wrong.append(f"{where}: {json.dumps(sent)[:300]} came back as {json.dumps(read)[:300]}")

    def mapping(self, deepest: int = 300):
        return {**mapping(self.random), "deep": nested(self.random.choice([1, 20, deepest]))}

    def labels(self):
        names = [name for name in NAMES if name]
        return {name: self.random.choice([*NUMBERS, *TEXTS, True]) for name in self.random.sample(names, 4)}

    async def variables(self):
        name = f"exact_{uuid.uuid4().hex}"
        for sent in [self.mapping(), value(self.random), self.random.choice(NUMBERS)]:
            await self.ask("POST", "/variables/", json={"name": name, "value": sent})
            self.check("variable", sent, (await self.ask("GET", f"/variables/name/{name}"))["value"])
            listed = await self.ask("POST", "/variables/filter", json={"variables": {"name": {"any_": [name]}}})
            self.check("variables/filter", sent, listed[0]["value"])
            if is_readable(sent):
                self.check("client.read_variable_by_name", sent, (await self.client.read_variable_by_name(name)).value)
            changed = value(self.random, 2)
            await self.ask("PATCH", f"/variables/name/{name}", json={"value": changed})
            self.check("variable, changed", changed, (await self.ask("GET", f"/variables/name/{name}"))["value"])
            await self.ask("DELETE", f"/variables/name/{name}")

    async def runs(self):
        labels = self.labels()
        created = await self.ask("POST", "/flows/", json={"name": f"exact-{uuid.uuid4()}", "labels": labels})
        self.check("flow's labels", labels, (await self.ask("GET", f"/flows/{created['id']}"))["labels"])
        sent = {
            "parameters": self.mapping(),
            "context": self.mapping(),
            "labels": self.labels(),
            "empirical_policy": {"retries": 0},
            "state": {"type": "PENDING", "data": self.mapping()},
        }
        run = await self.ask("POST", "/flow_runs/", json={"flow_id": created["id"], **sent})
        await self.check_run("flow run", run["id"], {key: sent[key] for key in ("parameters", "context")})
        read = await self.ask("GET", f"/flow_runs/{run['id']}")
        for name, label in sent["labels"].items():
            self.check(f"flow run's label {name!r}", label, read["labels"].get(name))
        self.check("state.data at creation", sent["state"]["data"], read["state"]["data"])
        labels = self.labels()
        await self.ask("PATCH", f"/flow_runs/{run['id']}/labels", json=labels)
        read = await self.ask("GET", f"/flow_runs/{run['id']}")
        for name, label in labels.items():
            self.check(f"flow run's label {name!r}, changed", label, read["labels"].get(name))
        parameters = self.mapping()
        await self.ask("PATCH", f"/flow_runs/{run['id']}", json={"parameters": parameters})
        await self.check_run("flow run, changed", run["id"], {"parameters": parameters})
        for state in [{"type": "RUNNING"}, {"type": "COMPLETED", "data": self.mapping()}]:
            await self.ask("POST", f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True})
        read = await self.ask("GET", f"/flow_runs/{run['id']}")
        self.check("state.data", state["data"], read["state"]["data"])
        states = await self.ask("GET", f"/flow_run_states/?flow_run_id={run['id']}")
        self.check("flow_run_states", state["data"], states[-1]["data"])
        await self.task_runs(run["id"])

    async def check_run(self, where: str, id: str, sent: dict):
        listed = await self.ask("POST", "/flow_runs/filter", json={"flow_runs": {"id": {"any_": [id]}}})
        for read, how in [(await self.ask("GET", f"/flow_runs/{id}"), "read"), (listed[0], "filter")]:
            for key, content in sent.items():
                self.check(f"{where}, {how}: {key}", content, read[key])

    async def task_runs(self, flow_run: str):
        labels, data = self.labels(), self.mapping()
        body = {
            "flow_run_id": flow_run,
            "task_key": "exact",
            "dynamic_key": str(uuid.uuid4()),
            "labels": labels,
            "state": {"type": "RUNNING", "data": data},
        }
        run = await self.ask("POST", "/task_runs/", json=body)
        read = await self.ask("GET", f"/task_runs/{run['id']}")
        for name, label in labels.items():
            self.check(f"task run's label {name!r}", label, read["labels"].get(name))
        self.check("task run's state.data at creation", data, read["state"]["data"])
        state = {"type": "COMPLETED", "data": self.mapping()}
        await self.ask("POST", f"/task_runs/{run['id']}/set_state", json={"state": state, "force": True})
        read = await self.ask("GET", f"/task_runs/{run['id']}")
        self.check("task run's state.data", state["data"], read["state"]["data"])

    async def deployments(self):
        pool = f"exact-{uuid.uuid4()}"
        variables = {"properties": {"x": {"title": "X"}}, "y": self.mapping()}
        template = {"job_configuration": {"x": "{{ x }}"}, "variables": variables}
        await self.ask("POST", "/work_pools/", json={"name": pool, "type": "process", "base_job_template": template})
        read = await self.ask("GET", f"/work_pools/{pool}")
        self.check("base_job_template", template, read["base_job_template"])
        created = await self.ask("POST", "/flows/", json={"name": f"exact-{uuid.uuid4()}"})
        scheduled = self.mapping()
        sent = {
            "parameters": self.mapping(),
            "job_variables": self.mapping(),
            "labels": self.labels(),
            "pull_steps": [self.mapping()],
            "parameter_openapi_schema": {"properties": {}, "default": self.mapping()},
        }
        start = (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()
        schedule = {"schedule": {"interval": 3600, "anchor_date": start}, "parameters": scheduled, "active": True}
        body = {"name": "exact", "flow_id": created["id"], "work_pool_name": pool, "schedules": [schedule], **sent}
        id = (await self.ask("POST", "/deployments/", json=body))["id"]
        read = await self.ask("GET", f"/deployments/{id}")
        for key, content in sent.items():
            if key == "labels":
                for name, label in content.items():
                    self.check(f"deployment's label {name!r}", label, read["labels"].get(name))
            else:
                self.check(f"deployment's {key}", content, read[key])
        self.check("schedule's parameters", scheduled, read["schedules"][0]["parameters"])
        given = {"parameters": self.mapping(), "job_variables": self.mapping(), "context": self.mapping()}
        run = await self.ask("POST", f"/deployments/{id}/create_flow_run", json=given)
        expected = {**given, "parameters": {**sent["parameters"], **given["parameters"]}}
        await self.check_run("deployment's run", run["id"], expected)
        variable = self.mapping()
        text = {"__prefect_kind": "json", "value": json.dumps(variable)}
        run = await self.ask("POST", f"/deployments/{id}/create_flow_run", json={"parameters": {"filled": text}})
        await self.check_run("filled in", run["id"], {"parameters": {**sent["parameters"], "filled": variable}})
        polled = await self.ask(
            "POST", f"/work_pools/{pool}/get_scheduled_flow_runs", json={"scheduled_before": "2100-01-01T00:00:00Z"}
        )
        parameters = [each["flow_run"]["parameters"] for each in polled]
        self.checks += 1
        if not any(is_same(each, {**sent["parameters"], **scheduled}) for each in parameters):
            self.wrong.append(f"none of {len(polled)} scheduled runs has the parameters of deployment and schedule")

    async def events(self):
        # The client's models accept a depth of about 250.
        sent = {str(uuid.uuid4()): self.mapping(100) for _ in range(6)}
        events = [
            Event(event="exact", resource={"prefect.resource.id": f"exact.{id}"}, payload=payload, id=uuid.UUID(id))
            for id, payload in sent.items()
        ]
        await self.ask("POST", "/events", json=[event.model_dump(mode="json") for event in events[:3]])
        async with PrefectEventsClient() as client:
            for event in events[3:]:
                await client.emit(event)
        for _ in range(100):
            body = {"filter": {"id": {"id": list(sent)}}}
            found = (await self.ask("POST", "/events/filter", json=body))["events"]
            if len(found) == len(sent):
                break
            await asyncio.sleep(0.1)
        read = {event["id"]: event["payload"] for event in found}
        for index, (id, payload) in enumerate(sent.items()):
            self.check("event over HTTP" if index < 3 else "event over a socket", payload, read.get(id))


    def parsable(self):
        """The value from the client's parser of live messages. The parser has no integers of more than 64 bits."""
        while not is_same(made := self.mapping(100), orjson.loads(json.dumps(made))):
            pass
        return made

    async def live(self):
        """Events that are sent over HTTP and a socket, and read over HTTP and a socket."""
        kind = f"exact.live.{uuid.uuid4()}"
        resource = {"prefect.resource.id": kind}
        payloads = [self.parsable(), self.parsable()]
        wanted = EventFilter(event=EventNameFilter(name=[kind]))
        async with get_events_subscriber(filter=wanted) as subscriber:
            by_http, by_socket = (Event(event=kind, resource=resource, payload=payload) for payload in payloads)
            await self.ask("POST", "/events", json=[by_http.model_dump(mode="json")])
            shown = [await asyncio.wait_for(anext(subscriber), 30)]
            async with PrefectEventsClient() as client:
                await client.emit(by_socket)
            shown.append(await asyncio.wait_for(anext(subscriber), 30))
        self.check("live events", payloads, [event.payload for event in shown])

    async def reported(self):
        """The result of a task run. The client reports the result in an event, and it is recorded later."""
        id, data = str(uuid.uuid4()), self.mapping()
        report = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(timezone.utc).isoformat(),
            "event": "prefect.task-run.Completed",
            "resource": {"prefect.resource.id": f"prefect.task-run.{id}", "prefect.orchestration": "client"},
            "payload": {
                "task_run": {"name": "t", "task_key": "t", "dynamic_key": id, "total_run_time": 1.0, "run_count": 1},
                "validated_state": {"type": "COMPLETED", "name": "Completed", "data": data},
            },
        }
        await self.ask("POST", "/events", json=[report])
        read = await self.ask("GET", f"/task_runs/{id}")
        self.check("a reported task run's result", data, read["state"]["data"])
        states = await self.ask("GET", f"/task_run_states/?task_run_id={id}")
        self.check("a reported task run's states", data, states[0]["data"])

    async def storage(self):
        """The bundle steps of a work pool."""
        name, step = f"exact-{uuid.uuid4()}", self.mapping()
        body = {"name": name, "type": "process", "storage_configuration": {"bundle_upload_step": step}}
        await self.ask("POST", "/work_pools/", json=body)
        read = await self.ask("GET", f"/work_pools/{name}")
        self.check("storage configuration", step, read["storage_configuration"]["bundle_upload_step"])


@flow
def returned(x):
    return None


async def main():
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"seed {seed}", flush=True)
    async with get_client() as client:
        routes = Routes(client, random.Random(seed))
        for _ in range(int(os.environ.get("ROUNDS", "5"))):
            for play in [
                routes.variables,
                routes.runs,
                routes.deployments,
                routes.events,
                routes.live,
                routes.reported,
                routes.storage,
            ]:
                try:
                    await play()
                except Exception:
                    routes.wrong.append(f"{play.__name__}: {traceback.format_exc(limit=-3)}")
        state = returned(2**60 + 1, return_state=True)
        run = await client.read_flow_run(state.state_details.flow_run_id)
        routes.check("client's flow run", {"x": 2**60 + 1}, run.parameters)
    print(f"checked {routes.checks}, wrong {len(routes.wrong)}")
    print("\n".join(sorted(set(routes.wrong))))


if __name__ == "__main__":
    asyncio.run(main())
