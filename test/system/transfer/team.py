"""Fills a Prefect server as a team may have left it: deployments with schedules, and all that they use."""

import asyncio
from pathlib import Path

from flows import report
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    GlobalConcurrencyLimitCreate,
    WorkPoolCreate,
)
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.filesystems import LocalFileSystem
from prefect.utilities.callables import parameter_schema
from prefect.variables import Variable
from prefect.workers.process import ProcessWorker
from pydantic import SecretStr

DEPLOYMENTS = 50
SCHEDULES = [
    CronSchedule(cron="30 4 1 1 *", timezone="Europe/Paris"),
    IntervalSchedule(interval=31_536_000, timezone="America/New_York"),
    RRuleSchedule(rrule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=3;BYHOUR=4;BYMINUTE=5;BYSECOND=6"),
]


class Warehouse(Block):
    """An address with a password."""

    address: str
    password: SecretStr
    options: dict = {}


async def main():
    for team in ["red", "green"]:
        await Warehouse(address=f"{team}.example", password=SecretStr(f"{team} words"), options={"a": [1, None]}).save(team)
    await Secret(value="open sesame").save("api-token")
    await Secret(value={"user": "ada", "words": ["x"]}).save("login")
    await LocalFileSystem(basepath="/data/results").save("results")
    await Variable.aset("regions", {"default": "eu", "all": ["eu", "us"]}, tags=["geo"])
    await Variable.aset("batch_size", 12)
    async with get_client() as client:
        for name, slots in [("fast", 4), ("slow", None)]:
            pool = WorkPoolCreate(
                name=name,
                type="process",
                concurrency_limit=slots,
                base_job_template=ProcessWorker.get_default_base_job_template(),
            )
            await client.create_work_pool(pool)
            # The client copies no deployment of a queue with the name "default".
            await client.create_work_queue("calm", work_pool_name=name, priority=5)
            await client.create_work_queue("urgent", work_pool_name=name, priority=1, concurrency_limit=3)
        await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="database", limit=7))
        await client.create_concurrency_limit(tag="heavy", concurrency_limit=2)
        flow_ids = {team: await client.create_flow_from_name(f"report-{team}") for team in ["red", "green"]}
        for number in range(DEPLOYMENTS):
            team = ["red", "green"][number % 2]
            await client.create_deployment(
                flow_id=flow_ids[team],
                name=f"nightly-{number:02}",
                entrypoint="flows.py:report",
                path=str(Path(__file__).parent),
                version=f"1.{number}",
                description=f"The report number {number}.",
                work_pool_name=["fast", "slow"][number % 2],
                work_queue_name=["calm", "urgent"][number // 2 % 2],
                parameters={"team": team, "times": number},
                parameter_openapi_schema=parameter_schema(report).model_dump_for_openapi(),
                enforce_parameter_schema=number % 3 > 0,
                tags=[team, f"number-{number % 5}"],
                job_variables={"env": {"TEAM": team}},
                paused=number % 10 == 9,
                pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(Path(__file__).parent)}}],
                schedules=[
                    DeploymentScheduleCreate(
                        schedule=schedule,
                        active=number % 4 > 0,
                        parameters={"times": index},
                        slug=f"slug-{index}",
                    )
                    for index, schedule in enumerate(SCHEDULES[: 1 + number % 3])
                ],
            )


asyncio.run(main())
