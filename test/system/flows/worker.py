"""The stock worker of the pool that the environment names."""

import os
import sys

from prefect.cli import app

sys.argv = ["prefect", "worker", "start", "--pool", os.environ["POOL"], "--type", "process"]
app()
