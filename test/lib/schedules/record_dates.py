"""Writes dates.json: what the original's schedules come to. Run with a Python that has prefect 3.8.8 installed."""

import asyncio
import datetime
import itertools
import json
import pathlib

from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

CRONS = [
    "* * * * *", "*/7 * * * *", "5/20 * * * *", "30 2 * * *", "30 1 * * *", "0 * * * *", "*/30 1 * * *", "10 0 * * *",
    "0 9 * * 1-5", "0 0 13 * 5", "0 0 1,15 * mon", "0 12 */2 * *", "15 10 l * *", "0 0 * * 5#2", "0 0 * * l5", "0 0 * * sat-mon",
    "0 0 1 nov-feb *", "@daily", "@weekly", "@hourly", "@yearly", "0 0 29 2 *", "0 0 * * 7", "0 0 ? * 3", "0 6-18/4 * * *",
    "0 0 31 * *", "*/10 * * * * */15", "0 0 * jan-jan *", "0 22-3 * * *",
]
ZONES = ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"]
STARTS = ["2026-03-07T22:15:30.5+00:00", "2026-10-24T22:00:00+00:00", "2026-11-01T04:30:00+00:00", "2028-02-27T23:59:59+00:00"]
INTERVALS = [1.5, 60, 3600, 5400, 86400, 90000, 129600, 604800]
ANCHORS = ["2020-01-01T00:00:00+00:00", "2025-03-09T02:30:00-05:00", "2025-11-02T01:30:00-04:00", "2030-01-01T09:00:00+00:00"]
RRULES = [
    "FREQ=DAILY", "FREQ=HOURLY;INTERVAL=5", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "DTSTART:20260301T000000\nRRULE:FREQ=MINUTELY;INTERVAL=13", "FREQ=DAILY;COUNT=3000;BYHOUR=2;BYMINUTE=30",
    "FREQ=DAILY;UNTIL=20261102T000000", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU", "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR",
    "DTSTART:20260101T093000\nRRULE:FREQ=DAILY;INTERVAL=3", "DTSTART:20260131T083000\nRRULE:FREQ=MONTHLY",
    "DTSTART:20240229T120000\nRRULE:FREQ=YEARLY", "DTSTART:20260101T013000\nRRULE:FREQ=DAILY\nEXDATE:20261025T013000,20261026T013000",
    "DTSTART:20260101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SU", "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY\nRDATE:20261026T050000",
    "DTSTART:20261020T000000\nRRULE:FREQ=SECONDLY;INTERVAL=40", "FREQ=YEARLY;BYYEARDAY=100,-1", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "FREQ=DAILY;BYMONTH=3,11;BYHOUR=1,2,3",
]
N = 7
END = datetime.timedelta(days=100)


def text(moment):
    return moment.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def run(schedule, start):
    begin = datetime.datetime.fromisoformat(start)
    try:
        dates = asyncio.run(schedule.get_dates(n=N, start=begin, end=begin + END))
    except Exception:  # croniter gives up on dates that never come
        dates = []
    return {"schedule": json.loads(schedule.model_dump_json()), "start": start, "dates": [text(date) for date in dates]}


cases = []
for cron, zone, start in itertools.product(CRONS, ZONES[:4], STARTS):
    cases.append(run(CronSchedule(cron=cron, timezone=zone, day_or=True), start))
    if cron in ("0 0 13 * 5", "0 0 1,15 * mon"):
        cases.append(run(CronSchedule(cron=cron, timezone=zone, day_or=False), start))
for seconds, anchor, zone, start in itertools.product(INTERVALS, ANCHORS, ZONES[:4], STARTS[:3]):
    cases.append(run(IntervalSchedule(interval=seconds, anchor_date=anchor, timezone=zone), start))
for rule, zone, start in itertools.product(RRULES, ZONES[:4], STARTS[1:3]):
    cases.append(run(RRuleSchedule(rrule=rule, timezone=zone), start))

path = pathlib.Path(__file__).parent / "dates.json"
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
print(len(cases))
