"""Flows whose runs have all that a page can show: task runs, subflows, logs, artifacts, and a failure."""

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
)


@task(tags=["limited"])
def double(number: int) -> int:
    get_run_logger().info("doubling %d", number)
    if number == 1:
        create_markdown_artifact("# Of a task", key="of-a-task")
    return number * 2


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def child(number: int) -> int:
    return double(number)


@flow(flow_run_name="whole-run")
def parent(count: int = 2, name: str = "you") -> int:
    """Has task runs, a subflow, logs and artifacts."""
    get_run_logger().warning("hello %s", name)
    create_markdown_artifact("# First", key="report", description="The first text.")
    create_markdown_artifact("# Second\n\n```mermaid\ngraph TD; a-->b\n```", key="report")
    create_table_artifact([{"a": 1, "b": 2}], key="table")
    create_link_artifact("https://example.com", key="link")
    create_image_artifact("data:image/gif;base64,R0lGODlhAQABAAAAACw=", key="image")
    create_progress_artifact(42.0, key="progress")
    return add([double(number) for number in range(count)]) + child(7)


@flow(flow_run_name="failed-run")
def failing() -> None:
    raise ValueError("as it must")


@flow
def greet(name: str = "world", times: int = 1) -> str:
    """Greets."""
    return name * times
