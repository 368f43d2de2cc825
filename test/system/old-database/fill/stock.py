"""Runs flows of the stock client: submitted tasks, a failing and a retried task, a subflow, background tasks."""

from prefect import flow, get_run_logger, task


@task
def add(x: int, y: int = 1) -> int:
    get_run_logger().info("add %s and %s – ünï", x, y)
    return x + y


@task(retries=2, retry_delay_seconds=0, tags=["flaky"])
def twice(state: dict) -> str:
    state["tries"] = state.get("tries", 0) + 1
    if state["tries"] < 2:
        raise ValueError("not yet – 世界")
    return "at last"


@task
def fail() -> None:
    raise RuntimeError("always")


@task
def delayed(number: int) -> int:
    return number


@flow(name="old-stock-subflow")
def inner(rows: list[int]) -> int:
    return sum(add.submit(row).result() for row in rows)


@flow(name="old-stock", flow_run_name="stock-{day}", retries=1)
def outer(day: str, precise: float = 1.10, big: int = 12345678901234567890) -> int:
    logger = get_run_logger()
    futures = [add.submit(number) for number in range(20)]
    chained = add.submit(futures[0], futures[1])
    logger.warning("retried: %s", twice.submit({}).result())
    if fail.submit().wait() is None:
        logger.error("a task has failed")
    return chained.result() + inner([1, 2, 3]) + sum(future.result() for future in futures)


@flow(name="old-stock-failing", flow_run_name="stock-failing")
def failing() -> None:
    add(1)
    fail()


if __name__ == "__main__":
    for number in range(5):
        delayed.delay(number)
    for day in ("monday", "tuesday"):
        outer(day, return_state=True)
    failing(return_state=True)
