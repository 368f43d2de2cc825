"""
Background tasks. ROLE is the role of this process: `serve` runs tasks one by one, `delay FIRST AMOUNT` queues so many
tasks, `die` queues a task that kills its task worker, and `wait` waits for two tasks.
"""

import os
import signal
import time
from pathlib import Path

from prefect import task
from prefect.task_worker import serve

JOURNAL = Path(os.environ["JOURNAL"])


def write(line: str) -> None:
    with JOURNAL.open("a") as lines:
        lines.write(f"{line}\n")


@task
def note(number: int) -> int:
    write(f"note {number}")
    return number


@task
def shout(number: int) -> int:
    write(f"shout {number}")
    return number


@task
def die(seconds: float) -> None:
    """Ends its task worker after the reports of the tasks before."""
    write(f"die {os.getpid()}")
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    match os.environ["ROLE"].split():
        case ["serve"]:
            print(f"serving {os.getpid()}", flush=True)
            serve(note, shout, die, limit=1)
        case ["delay", first, amount]:
            for number in range(int(first), int(first) + int(amount)):
                (note if number % 2 else shout).delay(number)
        case ["die"]:
            print(f"delayed {die.delay(3).task_run_id}", flush=True)
        case ["wait"]:
            noted = note.apply_async((-1,))
            noted.wait(timeout=120)
            print(f"noted {noted.result(timeout=30)}", flush=True)
            print(f"shouted {shout.delay(-2).result(timeout=120)}", flush=True)
