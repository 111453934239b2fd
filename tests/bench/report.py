"""What was measured, as text: tables on the terminal, and ``docs/performance.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what is asked, what was measured, whether it is met, and by how much (a few words)."""

    asked: str
    measured: str
    met: bool
    margin: str
    why: str = ""  # in plain words, where it is missed

    def line(self) -> str:
        return f"{'met   ' if self.met else 'MISSED'}  {self.asked}: {self.measured} ({self.margin})"


@dataclass(frozen=True, slots=True)
class Section:
    """One table with its verdicts, and what a reader has to know about it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = field(default=())
    bars: Sequence[tuple[str, float]] = field(default=())  # for the chart: name, requests a second

    def text(self) -> str:
        widths = [max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))]
        lines = ["", f"== {self.title}"]
        for row in (self.columns, *self.rows):
            first = row[0].ljust(widths[0])
            lines.append(
                "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
            )
        lines += [f"   {note}" for note in self.notes]
        lines += [f"   {verdict.line()}" for verdict in self.verdicts]
        return "\n".join(lines)

    def markdown(self) -> str:
        lines = [f"## {self.title}", ""]
        if self.rows:
            lines += [_row(self.columns), _row(["---", *["---:"] * (len(self.columns) - 1)])]
            lines += [_row(row) for row in self.rows] + [""]
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines).rstrip() + "\n"


_HOW_TO_READ = (
    "Everything is measured in one run, interleaved, and each number is the median of several short runs. Only the",
    "ratios carry over to other machines; on a busy machine they are rougher too.",
    "",
    'Repeat it with `make bench` (a quick run: `make bench ARGS=--quick`; one part: `ARGS="--only throughput"`). nginx and',
    "wrk are used when they are installed. `make bench-peers` installs LiteLLM's proxy and Portkey's gateway outside the tree,",
    "and `ARGS=--peers` measures them too. `make soak` is the other proof: half an hour of mixed load while gateways are killed.",
    "",
    "The gateway checks a key, parses, matches, and records each request twice, and it waits for both records: recording cannot",
    "be switched off. *fsync always* loses no record when the power goes, *everysec* the last second of them. CPU is the target's",
    "process alone, without Redis.",
    "",
)


def document(sections: Sequence[Section], *, machine: str, setup: Sequence[str], plan: str) -> str:
    """The page for readers. Says first which targets are missed."""
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    missed = [verdict for verdict in verdicts if not verdict.met]
    lines = [
        "# Performance",
        "",
        'Written by `make bench ARGS="--output docs/performance.md"`; do not edit it.',
        f"Measured on {datetime.now(UTC):%Y-%m-%d} ({plan} run): {machine}.",
        *[f"{line[0].upper()}{line[1:]}." for line in setup],
        "",
        *_HOW_TO_READ,
        *_chart(sections),
        "## Targets",
        "",
        _row(["target", "measured", "", "by how much"]),
        _row(["---"] * 4),
        *[_row([v.asked, v.measured, "met" if v.met else "**missed**", v.margin]) for v in verdicts],
        "",
        f"{len(missed)} of {len(verdicts)} are missed." if missed else "All targets are met.",
        *(["", "What is behind it:", ""] if any(v.why for v in missed) else []),
        *dict.fromkeys(f"- {v.why[0].upper()}{v.why[1:]}." for v in missed if v.why),
        "",
        *[section.markdown() for section in sections],
    ]
    return "\n".join(lines).rstrip() + "\n"


def _chart(sections: Sequence[Section]) -> list[str]:
    return ["![Requests a second of each target](performance.svg)", ""] if any(each.bars for each in sections) else []


def count(value: float) -> str:
    """``12,345``, or ``12.3`` for small numbers."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def milliseconds(seconds: float) -> str:
    """``1.23 ms``."""
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
