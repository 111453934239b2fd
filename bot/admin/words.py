"""Words that several families of commands use: times, diffs, counted things. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from datetime import UTC, datetime

MOST_DIFF_LINES = 20_000


def moment(at_ms: int) -> str:
    """``2026-01-02 03:04 UTC``."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def many(count: int, thing: str) -> str:
    """``1 change``, ``2 changes``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def diff_of(before: str, after: str, before_name: str, after_name: str) -> str:
    """What changes, line by line; empty when nothing does. Slow for long texts: call it off the loop."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_DIFF_LINES:
        return f"--- {before_name}: {len(old):,} lines\n+++ {after_name}: {len(new):,} lines, too long to compare here"
    return "\n".join(difflib.unified_diff(old, new, before_name, after_name, lineterm=""))


def suggestion(word: str, known: Collection[str]) -> str:
    """`` Did you mean "x"?``, or nothing."""
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""
