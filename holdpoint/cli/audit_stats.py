"""`holdpoint audit stats|upgrade`: the ledger's numbers, and a ledger of an older version brought to this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bot.pictures import stats_png
from bot.sentences import duration
from bot.web.documents import stats_document
from holdpoint.cli.audit_files import opened_ledger, write_file
from holdpoint.cli.common import json_option, print_json, print_table, settings_with_logs
from holdpoint.clock import iso, now_ms
from holdpoint.ledger.history import statistics
from holdpoint.ledger.sql import Ledger
from holdpoint.stats import MOST_DAYS, Counts, Stats

_WITHIN_S = 600.0  # whoever waits at a terminal can end it
_COUNTS = ("held", "approved", "rejected", "expired", "cancelled", "waiting", "failed")


@click.command()
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=30, show_default=True, help="Today among them, UTC.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Also draw them into this file.")
@json_option
def stats(*, days: int, png: Path | None, as_json: bool) -> None:
    """Count what became of held requests, by group, reviewer and day, and how long people took to decide."""
    with opened_ledger() as ledger:
        counted = statistics(ledger, days, now_ms=now_ms(), within_s=_WITHIN_S)
    if png is not None:
        write_file(png, [stats_png(counted)])
    if as_json:
        print_json(stats_document(counted))
    else:
        _print(counted)


@click.command()
def upgrade() -> None:
    """Bring the ledger of an older Holdpoint to this version. A start of the bot does the same."""
    Ledger.open(settings_with_logs().ledger, create=False, upgrade=True).close()
    click.echo("the ledger is of this version")


def _print(counted: Stats) -> None:
    click.echo(f"{iso(counted.since_ms)[:10]} to {iso(counted.until_ms - 1)[:10]} (UTC)")
    click.echo(f"time to decision: median {_time(counted.median_ms)}, 95 % within {_time(counted.p95_ms)}\n")
    heading = tuple(name.upper() for name in _COUNTS)
    rows = [("all", *_counts(counted.counts), _time(counted.median_ms))]
    rows += [(group.group, *_counts(group.counts), _time(group.median_ms)) for group in counted.groups]
    rows += [(day.date, *_counts(day.counts), _time(day.median_ms)) for day in counted.by_day if day.counts.held]
    print_table(("REQUESTERS, DAYS", *heading, "MEDIAN"), rows)
    if counted.reviewers:
        click.echo()
        print_table(("REVIEWER", "NAME", "APPROVED", "REJECTED", "MEDIAN"), _reviewers(counted))


def _counts(counts: Counts) -> Sequence[str]:
    return [str(getattr(counts, name)) for name in _COUNTS]


def _reviewers(counted: Stats) -> Sequence[Sequence[str]]:
    return [
        (each.reviewer, each.name, str(each.approved), str(each.rejected), _time(each.median_ms))
        for each in counted.reviewers
    ]


def _time(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else duration(milliseconds)
