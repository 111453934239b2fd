"""``Prefer`` (RFC 7240): ``respond-async`` and ``wait=N``. What is not understood is ignored, as the RFC asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PREFERENCE = re.compile(r'\s*([a-z-]+)\s*(?:=\s*"?([^\s",;]*)"?)?\s*(?:;.*)?', re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """``wait_s`` is the longest wait, None without a limit. Not waiting at all is ``asynchronous``."""

    asynchronous: bool = False
    wait_s: int | None = None

    @property
    def applied(self) -> str:
        """The value of ``Preference-Applied`` for a 202."""
        return "respond-async" if self.asynchronous or self.wait_s is None else f"wait={self.wait_s}"


NONE = Preferences()


def preferences(values: Iterable[str]) -> Preferences:
    """All ``Prefer`` headers of a request; of a preference named twice the first one counts."""
    asynchronous = False
    wait: int | None = None
    for value in values:
        for item in value.split(","):
            match = _PREFERENCE.fullmatch(item)
            if match is None:
                continue
            name, argument = match[1].lower(), match[2]
            if name == "respond-async":
                asynchronous = True
            elif name == "wait" and wait is None and argument and _SECONDS.fullmatch(argument):
                wait = int(argument)
    return Preferences(asynchronous or wait == 0, wait)
