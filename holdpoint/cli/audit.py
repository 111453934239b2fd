"""`holdpoint audit search|show|verify|stats|export|upgrade`: what happened, and the proof that nobody changed the record of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from holdpoint.cli.audit_files import opened_ledger, write_file, write_parts
from holdpoint.cli.audit_stats import stats, upgrade
from holdpoint.cli.common import Refused, json_option, print_table
from holdpoint.clock import iso, now_ms
from holdpoint.ledger.chain import Form, Record
from holdpoint.ledger.columns import Row
from holdpoint.ledger.export import from_jsonl, to_csv, to_jsonl
from holdpoint.ledger.search import Filter, of_subject, parse_moment, statement, stretch
from holdpoint.ledger.timeline import body_matches, render
from holdpoint.ledger.verify import Expected, Finding, Verifier
from holdpoint.model import EventKind, State, Verdict
from holdpoint.visible import visible_line

_HEADINGS = ("RECORD", "TIME", "KIND", "SUBJECT", "REQUESTER", "CONNECTION", "VERDICT", "REVIEWER", "RULES")


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """``2h``, ``7d`` or a date → milliseconds since 1970."""
    if value is None:
        return None
    try:
        return parse_moment(value, now_ms=now_ms())
    except (ValueError, OverflowError):
        raise click.BadParameter("must be like 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00") from None


@click.group()
def audit() -> None:
    """The ledger: search it, read it, verify it, count it, take it elsewhere."""


audit.add_command(stats)
audit.add_command(upgrade)


@audit.command()
@click.option("--requester", help="The principal who sent it.")
@click.option("--group", help="A group of the requester.")
@click.option("--reviewer", help="The principal who decided.")
@click.option("--connection", help="The model it was for.")
@click.option("--kind", type=click.Choice([kind.value for kind in EventKind]), metavar="KIND", help="hold.created …")
@click.option("--verdict", type=click.Choice([verdict.value for verdict in Verdict]), help="What the policy said.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="The hold's state by then.")
@click.option("--rule", help="A rule that matched.")
@click.option("--subject", help="The hold, request, policy version or key.")
@click.option("--digest", help="The digest of the canonical request.")
@click.option("--text", help="A text anywhere in the content.")
@click.option("--since", "since_ms", callback=_moment, help="2h, 7d (ago) or a date, UTC.")
@click.option("--until", "until_ms", callback=_moment, help="The same; not included.")
@click.option("--unreadable", is_flag=True, help="Only events that could not be read.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Most records.")
@json_option
def search(*, limit: int, as_json: bool, **wanted: Any) -> None:
    """Find records, newest first. All that is given must hold."""
    with opened_ledger() as ledger:
        rows = ledger.select(statement(Filter(**wanted), limit=limit))
    if as_json:
        _print_json({"records": [_exact(row.record) for row in rows]})
    else:
        print_table(_HEADINGS, [_cells(row) for row in rows])


@audit.command()
@click.argument("subject")
@json_option
def show(*, subject: str, as_json: bool) -> None:
    """Tell everything that happened to one hold or request (or policy version, or key)."""
    with opened_ledger() as ledger:
        records = [row.record for row in ledger.pages(of_subject(subject))]
    if not records:
        raise Refused(f"the ledger has nothing on {subject!r}")
    if as_json:
        _print_json({"subject": subject, "records": [_exact(record) for record in records]})
    else:
        _write(render(records))


@audit.command()
@click.option("--expect-head", help="The hash of a record that you kept: it must be in the chain.")
@click.option("--expect-seq", type=click.IntRange(1), help="The number of that record, or the least number of records.")
@click.option("--file", "exported", type=click.File("rb"), help="Verify an exported .jsonl instead of the ledger.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most findings to print.")
@json_option
def verify(
    *, expect_head: str | None, expect_seq: int | None, exported: IO[bytes] | None, limit: int, as_json: bool
) -> int:  # fmt: skip
    """Find every record that was changed, removed, inserted or moved. Ends with 1 when there is one.

    Keep the head that this prints somewhere else: with --expect-head it also shows that nobody wrote the whole ledger
    anew, or cut off its end.
    """
    verifier = Verifier(Expected(expect_head, expect_seq))
    if exported is not None:
        shown, more = _some(verifier.check_part(from_jsonl(exported)), limit)
    else:
        with opened_ledger() as ledger, ledger.snapshot() as snapshot:
            shown, more = _some(verifier.check(snapshot), limit)
    if as_json:
        _print_json(_report(verifier, shown, more))
    else:
        _print_report(verifier, shown, more)
    return 1 if shown else 0


@audit.command()
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option(
    "--since", "since_ms", callback=_moment, help="From the first record since then: 2h, 7d (ago) or a date, UTC."
)
@click.option("--until", "until_ms", callback=_moment, help="To the last record before then.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file (mode 0600); default: stdout.")
def export(*, form: str, since_ms: int | None, until_ms: int | None, output: Path | None) -> None:
    """Write records as JSON Lines (which `verify --file` can check anywhere) or CSV."""
    with opened_ledger() as ledger:
        rows = ledger.pages(stretch(since_ms, until_ms))
        lines = to_jsonl(rows) if form == "jsonl" else to_csv(rows)
        parts = map(str.encode, lines)
        if output is None:
            write_parts(sys.stdout.buffer, parts)
        else:
            write_file(output, parts)


def _some(findings: Iterator[Finding], limit: int) -> tuple[list[Finding], int]:
    """The first findings, and how many there are beyond them. Reads all, so that the verifier knows the end."""
    return list(islice(findings, limit)), sum(1 for _ in findings)


def _report(verifier: Verifier, findings: list[Finding], more: int) -> dict[str, Any]:
    return {
        "ok": not findings,
        "checked": verifier.checked,
        "first_seq": verifier.first,
        "head": {"seq": verifier.last.seq, "hash": verifier.last.hash},
        "findings": [
            {
                "seq": found.seq,
                "subject": found.subject,
                "what": found.what.value,
                "detail": found.detail,
                "expected": found.expected,
                "actual": found.actual,
            }
            for found in findings
        ],
        "more_findings": more,
    }


def _print_report(verifier: Verifier, findings: list[Finding], more: int) -> None:
    for found in findings:
        where = f"record {found.seq}" if found.seq else "ledger"
        subject = f" ({found.subject})" if found.subject else ""
        _write(visible_line(f"{where}{subject}: {found.what}: {found.detail}") + "\n")
        _write(f"  expected {visible_line(found.expected)}\n  actual   {visible_line(found.actual)}\n")
    if more:
        _write(f"… and {more} more\n")
    first = f"from record {verifier.first}, " if verifier.first > 1 else ""
    verdict = f"{len(findings) + more} findings" if findings else "nothing wrong"
    _write(f"{verdict} in {verifier.checked} records\nhead: {first}{verifier.last.seq} {verifier.last.hash}\n")


def _cells(row: Row) -> tuple[str, ...]:
    record, columns = row.record, row.columns
    rules = columns.rules.strip("\n").replace("\n", ", ")
    kind = record.kind if record.form == Form.JSON else f"{record.kind} (unreadable)"
    verdict = columns.verdict or columns.state
    return (
        str(record.seq), iso(record.at_ms), kind, record.subject, columns.requester, columns.connection, verdict,
        columns.reviewer, rules,
    )  # fmt: skip


def _exact(record: Record) -> dict[str, Any]:
    """A record with its data as JSON where it is JSON; ``body_matches`` where body and digest are both there."""
    told: dict[str, Any] = record.content | {"hash": record.hash}
    if record.form == Form.JSON:
        with suppress(ValueError):  # whoever tampered with the text may have left no JSON; verify says so
            told["data"] = json.loads(record.data)
        if (matches := body_matches(record.value)) is not None:
            told["body_matches"] = matches
    return told


def _print_json(value: Any) -> None:
    """ASCII only: exact for a program, and harmless on a terminal."""
    _write(json.dumps(value, indent=2, default=str) + "\n")


def _write(text: str) -> None:
    write_parts(sys.stdout.buffer, [text.encode()])
