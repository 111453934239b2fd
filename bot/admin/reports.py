"""``audit``, ``stats``, ``doctor``: what the record says, and whether everything works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.admin.holds import UNKNOWN, visible_hold
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import many
from bot.answers import Answer, Picture, Table, refusal
from bot.pictures import stats_png
from bot.sentences import duration
from bot.visibility import sees_all
from holdpoint import key_life
from holdpoint.errors import PolicyError, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.policy import parse_policy
from holdpoint.policy.rules import Rule, RuleMode
from holdpoint.stats import MOST_DAYS, Counts, Stats

_DAYS = 7
_MOST_ROWS = 20
_NO_LEDGER = refusal("The ledger is not at hand here: ask the bot, or use holdpoint audit.")


async def _audit(office: Office, call: Call) -> Answer:
    if office.history is None:
        return _NO_LEDGER
    if not sees_all(call.by) and await visible_hold(office, call["hold"], call.by) is None:
        return UNKNOWN
    return Answer(True, text="\n".join(await office.history.audit(call["hold"])))


async def _stats(office: Office, call: Call) -> Answer:
    days = call.get("days", str(_DAYS))
    if not (days.isascii() and days.isdigit() and len(days) <= 4 and 1 <= int(days) <= MOST_DAYS):
        return refusal(f"Days are a number from 1 to {MOST_DAYS}.")
    if office.history is None:
        return _NO_LEDGER
    stats = await office.history.stats(int(days))
    title = f"The last {many(int(days), 'day')}"
    picture = Picture(await asyncio.to_thread(stats_png, stats), f"{title}: {_counted(stats.counts)}")
    return Answer(True, _stats_lines(title, stats), _stats_table(stats), picture=picture)


def _stats_lines(title: str, stats: Stats) -> tuple[str, ...]:
    times = f"Time to decision: median {_time(stats.median_ms)}, p95 {_time(stats.p95_ms)}."
    lines = (f"{title}: {_counted(stats.counts)}.", times)
    left_out = max(len(stats.groups) - _MOST_ROWS, 0) + max(len(stats.reviewers) - _MOST_ROWS, 0)
    return (*lines, f"{many(left_out, 'more row')} of groups and reviewers left out here.") if left_out else lines


def _counted(counts: Counts) -> str:
    ends = ("approved", "rejected", "expired", "cancelled", "failed", "waiting")
    return ", ".join([f"{counts.held} held", *(f"{getattr(counts, end)} {end}" for end in ends)])


def _stats_table(stats: Stats) -> Table | None:
    groups = tuple(
        (
            f"group {each.group}", str(each.counts.held), str(each.counts.approved), str(each.counts.rejected),
            str(each.counts.expired), _time(each.median_ms), _time(each.p95_ms),
        )
        for each in stats.groups[:_MOST_ROWS]
    )  # fmt: skip  # in the order of the header
    people = tuple(
        (f"by {each.name or each.reviewer}", "", str(each.approved), str(each.rejected), "", _time(each.median_ms), "")
        for each in stats.reviewers[:_MOST_ROWS]
    )
    header = ("", "held", "approved", "rejected", "expired", "median", "p95")
    return Table(header, groups + people) if groups or people else None


def _time(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else duration(milliseconds)


async def _doctor(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    found = [*await _own(office)]
    for checkup in office.checkups:
        found += await checkup()
    wrong = sum(finding.grade is not Grade.OK for finding in found)
    rows = tuple((finding.grade.value, finding.check, finding.said, finding.advice) for finding in found)
    healthy = not any(finding.grade is Grade.FAIL for finding in found)
    line = f"{many(wrong, 'thing')} to look at." if wrong else "Everything works."
    return Answer(healthy, (line,), Table(("", "part", "found", "what to do"), rows))


async def _own(office: Office) -> Sequence[Finding]:
    """Redis, the policy, the ledger, and what people have put in force beside the policy."""
    store, policy = office.store, office.live.snapshot.policy
    try:
        version = (await store.information()).get("redis_version", "?")
        paused, glass, changes = await store.pauses.all(), await store.glass.all(), await store.changes.all()
        keys = key_life.findings(await store.config.keys(), await store.key_use.all(), office.clock())
    except StoreUnavailable as error:
        return [Finding("redis", Grade.FAIL, str(error), "is the server up, and does it have memory and disk?")]
    shadows = sorted(rule.id for rule in await _rules(office) if rule.mode is RuleMode.SHADOW)
    return [
        Finding("redis", Grade.OK, f"version {version}"),
        Finding("policy", Grade.OK, f"version {policy.version}")
        if policy.version
        else Finding("policy", Grade.FAIL, "none that can be read", "holdpoint policy push: every request is refused"),
        _unless(not shadows, "rules in shadow", ", ".join(shadows) or "none", "policy mode <rule> enforce"),
        _unless(
            office.history is not None, "ledger", "at hand" if office.history else "not at hand", "see the bot's log"
        ),
        _unless(not paused, "pauses", many(len(paused), "connection"), "resume, when it is time"),
        _unless(not glass, "broken glass", f"{len(glass)} to review", "break-glass list"),
        _unless(not changes, "changes", f"{len(changes)} waiting", "changes list"),
        *keys,
    ]


async def _rules(office: Office) -> Sequence[Rule]:
    head = await office.store.config.policy()
    try:
        return (await asyncio.to_thread(parse_policy, head.text)).rules if head is not None else ()
    except PolicyError:
        return ()


def _unless(well: bool, check: str, said: str, advice: str) -> Finding:  # noqa: FBT001 - reads like a sentence
    return Finding(check, Grade.OK, said) if well else Finding(check, Grade.WARN, said, advice)


TABLE: tuple[Command, ...] = (
    command("audit <hold>", Access.READERS, "the story of one hold, from the record", _audit),
    command(
        "stats [days]", Access.OVERSEERS, "how many were held and decided, how fast, by whom; with a picture", _stats
    ),
    command("doctor", Access.ADMINS, "does everything work", _doctor),
)
