"""The text areas of a hold's page, and the diff of what was typed into them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.cards import edit_lines, part_label
from bot.passages import DiffLine
from bot.web import forms
from holdpoint.model import Hold
from holdpoint.policy.mask import Masks, mask, restore


@dataclass(frozen=True, slots=True)
class EditField:
    """One text area. ``text`` is what it holds, ``changed`` whether that differs from the held text."""

    path: str
    label: str
    text: str
    changed: bool


def texts(hold: Hold, masks: Masks) -> dict[str, str]:
    """Path → masked text, which is what can be edited."""
    return {part.path: mask(part.text, masks).text for part in hold.query.parts if part.editable}


def edit_fields(hold: Hold, masks: Masks, fields: Mapping[str, Any]) -> list[EditField]:
    """The text areas, newest text first, with what the person had typed."""
    shown = texts(hold, masks)
    changed = {edit.path: edit.text for edit in forms.edits(hold, shown, fields)}
    parts = [part for part in reversed(hold.query.parts) if part.editable]
    return [
        EditField(
            part.path,
            part_label(part),
            forms.written_out(changed.get(part.path, shown[part.path])),
            part.path in changed,
        )
        for part in parts
    ]


def diffs(hold: Hold, masks: Masks, fields: Mapping[str, Any]) -> list[tuple[str, tuple[DiffLine, ...]]]:
    """Label and diff of every text area that was changed."""
    parts = {part.path: part for part in hold.query.parts}
    found = []
    for edit in forms.edits(hold, texts(hold, masks), fields):
        part = parts[edit.path]
        after = restore(edit.text, mask(part.text, masks).originals)
        found.append((part_label(part), edit_lines(part.text, after, masks)))
    return found
