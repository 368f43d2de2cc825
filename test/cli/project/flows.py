"""Flows and tasks that the commands deploy, serve and run."""

from prefect import flow, task


@flow
def hello(name: str = "world", times: int = 1):
    """Greets."""
    print(name * times)


@flow
def failing():
    raise ValueError("as it must")


@task
def double(number: int):
    return number * 2


def plain():
    """Neither a flow nor a task."""
