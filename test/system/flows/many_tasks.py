"""A flow of 250 tasks that are submitted, mapped and called. Some are retried, some fail, and the flow continues."""

from prefect import flow, task
from prefect.futures import wait
from prefect.runtime import flow_run, task_run


@task
def add(number: int, other: int) -> int:
    return number + other


@task
def double(number: int) -> int:
    return 2 * number


@task(retries=2, retry_delay_seconds=0)
def stumble_once(number: int) -> int:
    if task_run.run_count == 1:
        raise RuntimeError(f"number {number} stumbles")
    return number


@task(retries=1, retry_delay_seconds=0.2)
def stumble_and_rest(number: int) -> int:
    if task_run.run_count == 1:
        raise RuntimeError(f"number {number} stumbles")
    return number


@task
def fail(number: int) -> None:
    raise ValueError(f"number {number} fails")


@flow
def many_tasks() -> int:
    print(f"flow run {flow_run.id}", flush=True)
    added = [add.submit(number, 1) for number in range(100)]
    doubled = double.map([future for future in added[:60]])
    called = [add(number, 2) for number in range(40)]
    stumbled = stumble_once.map(range(20)) + stumble_and_rest.map(range(10))
    failed = fail.map(range(20))
    wait([*added, *doubled, *stumbled, *failed])
    total = sum(called) + sum(future.result() for future in [*added, *doubled, *stumbled])
    return total


if __name__ == "__main__":
    print(f"total {many_tasks()}", flush=True)
