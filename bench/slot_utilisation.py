"""Measures how many short tasks of the stock client use the slots of one limit, on the server of PREFECT_API_URL.

    python bench/slot_utilisation.py --tasks 800 --slots 8 --processes 4

Utilisation is the working time of all tasks, divided by the number of slots and by the time from the first task's start
to the last task's end. With `--how tags` the tasks have a limited tag, and each process runs one flow. Otherwise the
tasks use `concurrency(...)`.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

HOLD_PATTERN = (0.5, 1.0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=800)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=16, help="tasks that a process has in hand")
    parser.add_argument("--how", choices=["concurrency", "threads", "tags"], default="concurrency")
    parser.add_argument("--most-seconds", type=float, default=400, help="no task begins after that")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def durations(seed: int, count: int) -> list[float]:
    source = random.Random(seed)
    return [source.uniform(*HOLD_PATTERN) for _ in range(count)]


async def with_concurrency(name: str, waits: list[float], at_once: int, until: float) -> list[tuple[float, float]]:
    from prefect.concurrency.asyncio import concurrency

    gate = asyncio.Semaphore(at_once)
    done: list[tuple[float, float]] = []

    async def work(seconds: float) -> None:
        async with gate:
            if time.time() > until:
                return
            async with concurrency(name, occupy=1):
                begun = time.time()
                await asyncio.sleep(seconds)
                done.append((begun, time.time()))

    await asyncio.gather(*(work(seconds) for seconds in waits))
    return done


def with_threads(name: str, waits: list[float], at_once: int, until: float) -> list[tuple[float, float]]:
    from prefect.concurrency.sync import concurrency

    done: list[tuple[float, float]] = []

    def work(seconds: float) -> None:
        if time.time() > until:
            return
        with concurrency(name, occupy=1):
            begun = time.time()
            time.sleep(seconds)
            done.append((begun, time.time()))

    with ThreadPoolExecutor(at_once) as pool:
        for future in [pool.submit(work, seconds) for seconds in waits]:
            future.result()
    return done


def with_tags(name: str, waits: list[float], at_once: int, until: float) -> list[tuple[float, float]]:
    from prefect import flow, task
    from prefect.futures import wait
    from prefect.task_runners import ThreadPoolTaskRunner

    done: list[tuple[float, float]] = []
    lock = threading.Lock()

    @task(tags=[name], log_prints=False)
    def work(seconds: float) -> None:
        if time.time() > until:
            return
        begun = time.time()
        time.sleep(seconds)
        with lock:
            done.append((begun, time.time()))

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=at_once))
    def all_of_it() -> None:
        wait([work.submit(seconds) for seconds in waits])

    all_of_it()
    return done


def child(options: argparse.Namespace) -> None:
    job = json.loads(options.child)
    waits = durations(job["seed"], job["tasks"])
    if options.how == "concurrency":
        done = asyncio.run(with_concurrency(job["name"], waits, options.at_once, job["until"]))
    else:
        run = with_threads if options.how == "threads" else with_tags
        done = run(job["name"], waits, options.at_once, job["until"])
    print("RESULT " + json.dumps(done), flush=True)


def make_limit(name: str, slots: int, how: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    limit = GlobalConcurrencyLimitCreate(name=f"tag:{name}" if how == "tags" else name, limit=slots, active=True)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(limit)


def parent(options: argparse.Namespace) -> None:
    name = f"utilisation-{uuid.uuid4().hex[:8]}"
    make_limit(name, options.slots, options.how)
    until = time.time() + options.most_seconds
    share = options.tasks // options.processes
    environment = {**os.environ, "PREFECT_LOGGING_LEVEL": "ERROR"}
    children = []
    for number in range(options.processes):
        job = json.dumps({"name": name, "tasks": share, "seed": number, "until": until})
        command = [sys.executable, __file__, *sys.argv[1:], "--child", job]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True))
    spans: list[tuple[float, float]] = []
    for each in children:
        output, _ = each.communicate(timeout=options.most_seconds + 120)
        if each.returncode != 0:
            raise SystemExit(f"a process ended with {each.returncode}")
        line = next(line for line in output.splitlines() if line.startswith("RESULT "))
        spans += [(begun, ended) for begun, ended in json.loads(line.removeprefix("RESULT "))]
    report(options, spans)


def report(options: argparse.Namespace, spans: list[tuple[float, float]]) -> None:
    first, last = min(begun for begun, _ in spans), max(ended for _, ended in spans)
    worked = sum(ended - begun for begun, ended in spans)
    changes = sorted([(begun, 1) for begun, _ in spans] + [(ended, -1) for _, ended in spans])
    most, now = 0, 0
    for _, change in changes:
        now += change
        most = max(most, now)
    result = {
        "how": options.how,
        "tasks": len(spans),
        "seconds": round(last - first, 1),
        "utilisation": round(worked / (options.slots * (last - first)), 3),
        "most_at_once": most,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    arguments = parse()
    child(arguments) if arguments.child else parent(arguments)
