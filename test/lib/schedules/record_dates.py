"""Writes dates.json: the dates of the original's schedules, and the texts that the original refuses.

Run it with a Python that has prefect 3.8.8 installed. First come hand-picked schedules, then random schedules. These are
the same each time. A case is one line: [kind, text or seconds, zone, day_or or anchor, start, [seconds from one date to
the next]]. A zone is its place in the list of zones. Times are in seconds since 1970. A refused schedule has null for its
dates.
"""

import asyncio
import datetime
import itertools
import json
import pathlib
import random
import re
import signal
import warnings
from zoneinfo import ZoneInfo

warnings.simplefilter("ignore")

from prefect._internal.schemas.validators import normalize_rrule_string  # noqa: E402
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule  # noqa: E402

UTC = datetime.timezone.utc
HAND_PICKED_ZONES = ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe"]
ZONES = HAND_PICKED_ZONES + [
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Tehran", "Asia/Beirut", "Asia/Jerusalem", "Asia/Yangon",
    "Australia/Adelaide", "Australia/Sydney", "Australia/Darwin", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati",
    "Pacific/Marquesas", "America/Los_Angeles", "America/St_Johns", "America/Havana", "America/Santiago", "America/Sao_Paulo",
    "America/Caracas", "America/Phoenix", "Atlantic/Azores", "Africa/Cairo", "Africa/Johannesburg", "Europe/Dublin",
    "Europe/Berlin", "Europe/Moscow", "Antarctica/Troll",
]
N = 6
SPAN = datetime.timedelta(days=1600)
RANDOM_CASES = {"cron": 1400, "interval": 1100, "rrule": 1100}
BAD_TEXTS = 150

CRONS = [
    "* * * * *", "*/7 * * * *", "5/20 * * * *", "30 2 * * *", "30 1 * * *", "0 * * * *", "*/30 1 * * *", "10 0 * * *",
    "0 9 * * 1-5", "0 0 13 * 5", "0 0 1,15 * mon", "0 12 */2 * *", "15 10 l * *", "0 0 * * 5#2", "0 0 * * l5", "0 0 * * sat-mon",
    "0 0 1 nov-feb *", "@daily", "@weekly", "@hourly", "@yearly", "0 0 29 2 *", "0 0 * * 7", "0 0 ? * 3", "0 6-18/4 * * *",
    "0 0 31 * *", "*/10 * * * * */15", "0 0 * jan-jan *", "0 22-3 * * *", "@midnight", "@monthly", "@annually", "@HOURLY",
    "0 0 * * sun#1,sat#2", "0 0 * * l5,l6", "0 0 l * 5", "0 0 1,l * *", "*/61 * * * *", "0 0 * * * 30", "0 0 1-7 * * 0 2027",
    "0 0 * * 7-2", "0 0 * * fri-mon/2", "*,5 * * * *", "0 0 * * 0-7", "0 0 0 * * 0", "0 0 30 2 *",
]
REFUSED_CRONS = [
    "", "R * * * *", "H * * * *", "H(0-5) * * * *", "@reboot", "@every 5m", "0 0 * * 5L", "0 0 L-2 * *", "0 0 15W * *", "0 0 * * L",
    "0 0 * * 1#6", "? * * * *", "0 0 * * l5,1", "0 0 * * 5#2,1", "*/0 * * * *", "1- * * * *", "1-2-3 * * * *", "1/2/3 * * * *",
    "0.5 * * * *", "0 0 * * 2-4#2", "60 * * * *", "* 24 * * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "* * * *", "-1 * * * *",
    "R/0 * * * *", "R(5-2) * * * *", "* * * * * * * *",
]
STARTS = ["2026-03-07T22:15:30.5+00:00", "2026-10-24T22:00:00+00:00", "2026-11-01T04:30:00+00:00", "2028-02-27T23:59:59+00:00"]
INTERVALS = [1.5, 60, 3600, 5400, 86400, 90000, 129600, 604800]
ANCHORS = ["2020-01-01T00:00:00+00:00", "2025-03-09T02:30:00-05:00", "2025-11-02T01:30:00-04:00", "2030-01-01T09:00:00+00:00"]
RRULES = [
    "FREQ=DAILY", "FREQ=HOURLY;INTERVAL=5", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "DTSTART:20260301T000000\nRRULE:FREQ=MINUTELY;INTERVAL=13",
    "FREQ=DAILY;COUNT=3000;BYHOUR=2;BYMINUTE=30", "FREQ=DAILY;UNTIL=20261102T000000", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU",
    "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR", "DTSTART:20260101T093000\nRRULE:FREQ=DAILY;INTERVAL=3",
    "DTSTART:20260131T083000\nRRULE:FREQ=MONTHLY", "DTSTART:20240229T120000\nRRULE:FREQ=YEARLY",
    "DTSTART:20260101T013000\nRRULE:FREQ=DAILY\nEXDATE:20261025T013000,20261026T013000",
    "DTSTART:20260101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SU", "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY\nRDATE:20261026T050000",
    "DTSTART:20261020T000000\nRRULE:FREQ=SECONDLY;INTERVAL=40", "FREQ=YEARLY;BYYEARDAY=100,-1", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
    "FREQ=DAILY;BYMONTH=3,11;BYHOUR=1,2,3", "FREQ=MINUTELY;INTERVAL=7", "FREQ=SECONDLY;INTERVAL=90", "FREQ=YEARLY;BYEASTER=1",
    "RDATE:20270101T000000,20270201T000000",
]
REFUSED_RRULES = [
    "", "every day", "FREQ=NEVER", "INTERVAL=2", "FREQ=DAILY;COUNT=x", "FREQ=DAILY;BYDAY=XX", "FREQ=DAILY;BOGUS=1",
    "DTSTART:2026", "FREQ=DAILY\nNOPE:1", "RRULE:FREQ=DAILY;UNTIL=soon", "FREQ=DAILY\n" + "EXDATE:" + ",".join(["20260101T000000"] * 500),
]

rng = random.Random(20261121)
pick = rng.choice


class TooSlow(Exception):
    """The original took too long."""


def give_up(*_):
    raise TooSlow


signal.signal(signal.SIGVTALRM, give_up)


def changes_of_clocks(zone):
    """The moments of 2024 to 2030 at which the zone's clocks change."""
    found, moment = [], datetime.datetime(2024, 1, 1, tzinfo=UTC)
    while moment.year < 2031:
        later = moment + datetime.timedelta(hours=6)
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            found.append(moment)
        moment = later
    return found


CHANGES = {name: changes_of_clocks(ZoneInfo(name)) for name in ZONES}


def a_moment(zone):
    """A start, often shortly before the clocks change or before a leap day."""
    near = rng.random()
    if near < 0.6 and CHANGES[zone]:
        at = pick(CHANGES[zone]) - datetime.timedelta(seconds=rng.randrange(3 * 86_400)) + datetime.timedelta(hours=6)
    elif near < 0.75:
        at = datetime.datetime(2028, 2, 28, tzinfo=UTC) - datetime.timedelta(seconds=rng.randrange(2 * 86_400))
    else:
        at = datetime.datetime(2024, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=rng.randrange(6 * 365 * 86_400))
    return at + datetime.timedelta(microseconds=pick([0, 0, 0, 500_000]))


def seconds(moment):
    whole = moment - datetime.datetime(1970, 1, 1, tzinfo=UTC)
    micros = whole // datetime.timedelta(microseconds=1)
    return micros // 1_000_000 if micros % 1_000_000 == 0 else micros / 1_000_000


def steps(dates, start):
    moments = [start] + sorted({date.astimezone(UTC) for date in dates})
    return [seconds(datetime.datetime(1970, 1, 1, tzinfo=UTC) + (b - a)) for a, b in zip(moments, moments[1:])]


def dates_of(make, start):
    """None where the original refuses the schedule, [] where it finds no date."""
    try:
        schedule = make()
    except Exception:  # some refusals are crashes of the parser
        return None
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.5)
    try:
        dates = asyncio.run(schedule.get_dates(n=N, start=start, end=start + SPAN))
    except TooSlow:
        raise
    except Exception:  # croniter gives up on dates that never come
        dates = []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return steps(dates, start)


def cron_case(cron, zone, start, day_or=True):
    dates = dates_of(lambda: CronSchedule(cron=cron, timezone=zone, day_or=day_or), start)
    return ["c", cron, ZONES.index(zone), int(day_or), seconds(start), dates]


def interval_case(interval, anchor, zone, start):
    delta = datetime.timedelta(seconds=interval)
    dates = dates_of(lambda: IntervalSchedule(interval=delta, anchor_date=anchor, timezone=zone), start)
    return ["i", interval, ZONES.index(zone), seconds(anchor), seconds(start), dates]


def rrule_case(rrule, zone, start):
    def make():
        RRuleSchedule(rrule=rrule, timezone=zone)
        return RRuleSchedule(rrule=normalize_rrule_string(rrule, now=start, timezone=zone), timezone=zone)

    return ["r", rrule, ZONES.index(zone), 0, seconds(start), dates_of(make, start)]


def cron_field(low, high, names=()):
    value = lambda: pick(names) if names and rng.random() < 0.3 else str(rng.randint(low, high))  # noqa: E731

    def item():
        kind = rng.random()
        if kind < 0.45:
            return value()
        if kind < 0.75:
            a, b = sorted((rng.randint(low, high), rng.randint(low, high)))
            if rng.random() < 0.15:
                a, b = b, a
            return f"{a}-{b}" + (f"/{rng.randint(1, 9)}" if rng.random() < 0.4 else "")
        if kind < 0.9:
            return f"*/{rng.randint(1, max(2, (high - low) // 2))}"
        return f"{rng.randint(low, high)}/{rng.randint(1, 9)}"

    return ",".join(item() for _ in range(pick([1, 1, 1, 2, 3])))


DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def random_cron():
    often = rng.random()
    minute = pick(["0", "30", "*/15", cron_field(0, 59), cron_field(0, 59), "*"])
    hour = pick(["*", "*", "0", "1", "2", "3", "0-3", cron_field(0, 23), cron_field(0, 23)])
    day = pick(["*", "*", "*", "*", "?", "l", "29", "31", cron_field(1, 31)])
    month = pick(["*", "*", "*", "*", "2", cron_field(1, 12, MONTHS)])
    special = pick([f"{rng.randint(0, 6)}#{rng.randint(1, 5)}", f"l{rng.randint(0, 6)}", f"{pick(DAYS)}#{rng.randint(1, 5)}"])
    weekday = pick(["*", "*", "*", "?", special, "1-5", cron_field(0, 7, DAYS), cron_field(0, 6, DAYS)])
    parts = [minute, hour, day, month, weekday]
    if often < 0.12:
        parts.append(pick(["0", "*/20", "30", cron_field(0, 59)]))
        if often < 0.03:
            parts.append(pick(["*", "2028", "2026-2030", "*/2"]))
    return " ".join(parts)


def random_interval():
    return pick([
        rng.randint(1, 90), rng.randint(1, 600) * 60, rng.randint(1, 47) * 1800, rng.randint(1, 23) * 3600,
        rng.randint(1, 40) * 86_400, rng.randint(1, 4) * 604_800, rng.randint(86_401, 900_000), rng.randint(1, 400) / 4,
        86_400, 3600,
    ])  # fmt: skip


def random_anchor(zone):
    past_or_future = pick([-1, -1, 1]) * rng.randrange(4 * 365 * 86_400)
    return a_moment(zone) + datetime.timedelta(seconds=past_or_future * pick([0, 1]))


def numbers(low, high, most, negative=False):
    found = {rng.randint(low, high) * (pick([-1, 1]) if negative else 1) for _ in range(rng.randint(1, most))}
    return ",".join(map(str, sorted(found - {0})))


def stamp(moment):
    return moment.strftime("%Y%m%dT%H%M%S")


WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def one_rule(start):
    freq = pick(["YEARLY", "MONTHLY", "MONTHLY", "WEEKLY", "WEEKLY", "DAILY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
    parts = {"FREQ": freq}
    if rng.random() < 0.5:
        parts["INTERVAL"] = rng.randint(1, {"YEARLY": 3, "MONTHLY": 7, "WEEKLY": 5, "DAILY": 12, "HOURLY": 30}.get(freq, 240))
    often = freq in ("HOURLY", "MINUTELY", "SECONDLY")
    if rng.random() < 0.3 and freq not in ("MINUTELY", "SECONDLY"):
        parts["BYMONTH"] = numbers(1, 12, 4)
    if freq in ("YEARLY", "MONTHLY") and rng.random() < 0.5:
        names = rng.sample(WEEKDAYS, rng.randint(1, 3))
        place = lambda: pick(["", "1", "2", "-1", "+3", "-2", "5"])  # noqa: E731
        parts["BYDAY"] = ",".join(place() + name for name in names) if freq == "MONTHLY" or "BYMONTH" in parts else ",".join(names)
    elif freq in ("MONTHLY", "DAILY", "YEARLY") and rng.random() < 0.5:
        parts["BYMONTHDAY"] = numbers(1, 31, 3, negative=True)
    elif freq == "YEARLY":
        parts[pick(["BYYEARDAY", "BYWEEKNO"])] = numbers(1, 52, 3, negative=True)
    elif rng.random() < 0.5:
        parts["BYDAY"] = ",".join(rng.sample(WEEKDAYS, rng.randint(1, 4)))
    if not often and rng.random() < 0.5:
        parts["BYHOUR"] = pick(["0", "1", "2", "3", numbers(0, 23, 3)])
    if freq not in ("MINUTELY", "SECONDLY") and rng.random() < 0.4:
        parts["BYMINUTE"] = pick(["0", "30", numbers(0, 59, 3)])
    if not often and ("BYDAY" in parts or "BYHOUR" in parts) and rng.random() < 0.2:
        parts["BYSETPOS"] = pick(["1", "-1", "2", "1,-1"])
    if rng.random() < 0.2:
        parts["WKST"] = pick(WEEKDAYS)
    end = rng.random()
    if end < 0.12:
        parts["COUNT"] = rng.randint(1, 400)
    elif end < 0.24:
        parts["UNTIL"] = stamp(start + datetime.timedelta(seconds=rng.randrange(60 * 86_400))) + pick(["", "Z"])
    return ";".join(f"{key}={value}" for key, value in parts.items())


def random_rrule(start, zone):
    lines = []
    main = one_rule(start)
    # dateutil steps through every second since the beginning.
    reach = 1 if "SECONDLY" in main else 20 if "MINUTELY" in main else 500
    if rng.random() < 0.6 or reach == 1:
        begin = start + datetime.timedelta(seconds=pick([-1, -1, 1]) * rng.randrange(reach * 86_400))
        begin = begin.astimezone(ZoneInfo(zone)).replace(microsecond=0, second=pick([0, 0, 15]), minute=pick([0, 15, 30, 41]))
        lines.append(f"DTSTART:{stamp(begin)}")
    lines.append(main if not lines and rng.random() < 0.5 else f"RRULE:{main}")
    second = one_rule(start)
    if rng.random() < 0.12 and ("SECONDLY" not in second or reach == 1):
        lines.append(f"RRULE:{second}")
    if rng.random() < 0.12:
        lines.append("EXRULE:FREQ=WEEKLY;BYDAY=" + pick(WEEKDAYS) + pick(["", ";BYHOUR=1,2,3"]))
    noon = start.replace(minute=0, second=0, microsecond=0)
    if rng.random() < 0.15:
        dates = [noon + datetime.timedelta(hours=rng.randrange(96)) for _ in range(3)]
        lines.append("EXDATE:" + ",".join(map(stamp, sorted(dates))))
    if rng.random() < 0.15:
        dates = [noon + datetime.timedelta(minutes=rng.randrange(4000)) for _ in range(2)]
        lines.append("RDATE:" + ",".join(map(stamp, sorted(dates))))
    if lines[0] and not lines[0].startswith(("DTSTART", "RRULE")) and len(lines) > 1:
        lines[0] = f"RRULE:{lines[0]}"
    return "\n".join(lines)


def mutated(text):
    place = rng.randrange(len(text))
    return text[:place] + pick(["", *"0123456789*/-,#lrh?;=:TZ "]) + text[place + 1 :]


def parsed(text):
    return datetime.datetime.fromisoformat(text)


def hand_picked():
    for cron, zone, start in itertools.product(CRONS, HAND_PICKED_ZONES, STARTS):
        yield cron_case(cron, zone, parsed(start))
        if cron in ("0 0 13 * 5", "0 0 1,15 * mon"):
            yield cron_case(cron, zone, parsed(start), day_or=False)
    print("hand-picked crons", flush=True)
    for length, anchor, zone, start in itertools.product(INTERVALS, ANCHORS, HAND_PICKED_ZONES, STARTS[:3]):
        yield interval_case(length, parsed(anchor), zone, parsed(start))
    for rule, zone, start in itertools.product(RRULES, HAND_PICKED_ZONES, STARTS[1:3]):
        yield rrule_case(rule, zone, parsed(start))
    for cron in REFUSED_CRONS:
        yield cron_case(cron, "UTC", parsed(STARTS[0]))
    for rule in REFUSED_RRULES:
        yield rrule_case(rule, "UTC", parsed(STARTS[0]))


def random_case(kind):
    zone = pick(ZONES)
    start = a_moment(zone)
    if kind == "cron":
        return cron_case(random_cron(), zone, start, day_or=rng.random() < 0.85)
    if kind == "interval":
        return interval_case(random_interval(), random_anchor(zone), zone, start)
    return rrule_case(random_rrule(start, zone), zone, start)


def random_ones():
    for kind, count in RANDOM_CASES.items():
        made = 0
        while made < count:
            try:
                yield random_case(kind)
            except TooSlow:
                continue
            made += 1
        print(kind, flush=True)
    start = parsed(STARTS[0])
    for _ in range(BAD_TEXTS):
        cron = mutated(random_cron())
        if not re.search(r"(^|\s)r", cron):  # a random field has other dates each time
            yield cron_case(cron, "UTC", start)


if __name__ == "__main__":
    cases = [*hand_picked(), *random_ones()]
    lines = [json.dumps(case, separators=(",", ":")) for case in cases]
    text = '{"zones":' + json.dumps(ZONES) + ',\n"cases":[\n' + ",\n".join(lines) + "\n]}\n"
    (pathlib.Path(__file__).parent / "dates.json").write_text(text)
    print(len(cases), "cases,", sum(1 for case in cases if case[5] is None), "of them refused,", len(text), "bytes")
