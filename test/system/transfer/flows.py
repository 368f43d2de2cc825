"""The flow of the deployments that are moved. It uses a secret and a variable, which must have moved too."""

from prefect import flow
from prefect.blocks.system import Secret
from prefect.variables import Variable


@flow(log_prints=True)
def report(team: str, times: int = 1):
    assert Secret.load("api-token").get() == "open sesame"
    assert Variable.get("regions") == {"default": "eu", "all": ["eu", "us"]}
    print(f"report of {team}, {times} times")
