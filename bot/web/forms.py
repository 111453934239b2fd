"""What a browser posts from a hold's page: a choice, the digest that was shown, and perhaps edited texts. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdpoint.model import DecisionKind, Edit, Hold
from holdpoint.visible import visible

EDIT_PREFIX = "edit:"
_MOST_COVERED = 500
_WRITTEN = re.compile(r"⟨U\+([0-9A-F]{4,6})⟩")


class BadForm(ValueError):
    """The form is not one of ours."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``covered`` are the ids of all holds that the page showed as one, the page's own first.

    ``prepared`` is the number of one of the policy's reasons, or empty (see `bot.inputs.reason_of`).
    """

    kind: DecisionKind
    digest: str
    reason: str
    covered: tuple[str, ...]
    prepared: str = ""


def choice(hold_id: str, fields: Mapping[str, Any]) -> Choice:
    """The decision in a form.

    Raises:
        BadForm: a field is missing or wrong.
    """
    try:
        kind = DecisionKind(str(fields.get("decision", "")))
    except ValueError:
        raise BadForm("no decision") from None
    also = str(fields.get("also", "")).split()
    return Choice(
        kind,
        str(fields.get("digest", "")),
        _newlines(str(fields.get("reason", ""))).strip(),
        tuple(dict.fromkeys((hold_id, *also[:_MOST_COVERED]))),
        str(fields.get("prepared", "")),
    )


def written_out(text: str) -> str:
    """``text`` for a text area: hidden characters as ``⟨U+202E⟩``, so that they are seen, kept or taken out.

    A text in which such a sequence stands already is left as it is: it could not be told apart on the way back.
    """
    return text if _WRITTEN.search(text) else visible(text)


def text(fields: Mapping[str, Any], name: str) -> str:
    """What was typed into a text area, with line breaks as everywhere else."""
    return _newlines(str(fields.get(name, "")))


def edits(hold: Hold, masked: Mapping[str, str], fields: Mapping[str, Any]) -> tuple[Edit, ...]:
    """The texts of a form that differ from the ``masked`` ones (path to text) that its text areas held.

    Browsers send every line break as CR LF, whatever the text had; what text areas wrote out is undone.
    """
    found = []
    for part in hold.query.parts:
        posted = fields.get(EDIT_PREFIX + part.path)
        if part.editable and isinstance(posted, str):
            before = masked[part.path]
            after = _newlines(posted)
            if after != _newlines(written_out(before)):
                found.append(Edit(part.path, after if _WRITTEN.search(before) else _WRITTEN.sub(_character, after)))
    return tuple(found)


def _character(match: re.Match[str]) -> str:
    """The character that a sequence stands for, if it is one that is written out at all."""
    number = int(match[1], 16)
    character = chr(number) if number <= sys.maxunicode else ""
    return character if visible(character) == match[0] else match[0]


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
