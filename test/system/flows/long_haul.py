"""A flow of 60 short tasks with logs, and a subflow in the middle. The flow prints its progress."""

import time

from prefect import flow, get_client, get_run_logger, task
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.runtime import flow_run


@task
def haul(load: int) -> int:
    logger = get_run_logger()
    logger.info("load %s: lifted", load)
    time.sleep(0.1)
    logger.info("load %s: set down", load)
    return load


def haul_three(leg: int) -> int:
    get_run_logger().info("leg %s", leg)
    futures = [haul.submit(3 * leg + number) for number in range(3)]
    return sum(future.result() for future in futures)


def wait_for_first_logs() -> None:
    """The client's sender of logs tolerates a stopped server only after a first request has succeeded."""
    mine = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]))
    with get_client(sync_client=True) as client:
        for _ in range(300):
            if client.read_logs(mine):
                return
            time.sleep(0.1)
    raise TimeoutError("no log has arrived in 30 seconds")


@flow
def middle() -> int:
    print(f"middle {flow_run.id}", flush=True)
    return sum(haul_three(leg) for leg in range(8, 12))


@flow
def long_haul() -> int:
    print(f"long haul {flow_run.id}", flush=True)
    before = sum(haul_three(leg) for leg in range(8))
    wait_for_first_logs()
    between = middle()
    return before + between + sum(haul_three(leg) for leg in range(12, 20))


if __name__ == "__main__":
    print(f"total {long_haul()}", flush=True)
