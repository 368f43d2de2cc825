"""Flows that stay in one phase of their life until the file `release` exists in their folder."""

import os
import signal
import time
from pathlib import Path

from prefect import flow, pause_flow_run, task
from prefect.runtime import flow_run


def reach(folder: str) -> None:
    """Writes the process id into a file. The file says that the run is in its phase."""
    Path(folder, flow_run.get_id()).write_text(str(os.getpid()))


def stay(folder: str) -> None:
    while not Path(folder, "release").exists():
        time.sleep(0.2)


@task
def hold(folder: str) -> int:
    reach(folder)
    stay(folder)
    return 1


@flow
def in_task(folder: str) -> int:
    return hold(folder)


@flow
def in_flow(folder: str) -> int:
    reach(folder)
    stay(folder)
    return hold(folder)


@flow
def child(folder: str) -> int:
    reach(folder)
    stay(folder)
    return 1


@flow
def in_subflow(folder: str) -> int:
    reach(folder)
    return child(folder)


@flow(retries=1, retry_delay_seconds=45)
def in_retry(folder: str) -> int:
    reach(folder)
    if flow_run.get_run_count() == 1:
        raise RuntimeError("the first attempt fails, as it was meant to")
    return 1


@flow
def in_pause(folder: str) -> int:
    reach(folder)
    pause_flow_run(timeout=100)
    return 1


@flow
def in_cancelling(folder: str) -> int:
    # The flow ignores the signal, so its worker must wait and then kill the flow.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reach(folder)
    time.sleep(600)
    return 1


@flow
def at_once(folder: str) -> int:
    return 1
