"""What a check found, in words that tell what to do: for ``holdpoint doctor``, ``/holdpoint doctor`` and App Home."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """``fail`` keeps something from working; ``warn`` is worth a look."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``advice`` is empty when all is well. No line carries a secret."""

    check: str
    grade: Grade
    said: str
    advice: str = ""
