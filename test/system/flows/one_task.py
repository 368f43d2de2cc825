"""A flow of one task, with a log."""

from prefect import flow, task
from prefect.runtime import flow_run


@task(log_prints=True)
def greet(name: str) -> str:
    print(f"hello {name}")
    return f"hello {name}"


@flow
def one_task() -> str:
    print(f"flow run {flow_run.id}", flush=True)
    return greet("world")


if __name__ == "__main__":
    print(one_task(), flush=True)
