"""The shapes that every protocol shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. ``name`` has no version prefix (``chat/completions``); ``target`` is the path as it is forwarded."""

    name: str
    target: str
    method: str
    inspected: bool  # False: harmless, passes without a look at its body (it has none)


@dataclass(slots=True)
class Summary:
    """What an answer says, as far as it could be read."""

    text: Final[str]
    prompt_tokens: Final[int | None]
    completion_tokens: Final[int | None]
