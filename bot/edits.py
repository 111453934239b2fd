"""What a reviewer edited: texts with masked places → changes of a query. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdpoint import canonical
from holdpoint.errors import BadEdit
from holdpoint.model import Decision, Edit, Hold, Part, Query
from holdpoint.policy.mask import Masks, mask, restore


@dataclass(frozen=True, slots=True)
class Change:
    """One editable part with its new text, masks undone."""

    part: Part
    text: str


def changes_of(hold: Hold, edits: Sequence[Edit], masks: Masks) -> tuple[Change, ...]:
    """The edits as changes of the hold's parts, with masked places restored.

    Raises:
        BadEdit: a path names no editable part, or one twice, or its text is no change or no text.
    """
    parts = {part.path: part for part in hold.query.parts}
    changes: dict[str, Change] = {}
    for edit in edits:
        part = parts.get(edit.path)
        if part is None:
            raise BadEdit("an edit names a part that this request does not have")
        if not part.editable:
            raise BadEdit("an edit names a part that cannot be edited")
        if edit.path in changes:
            raise BadEdit("two edits name the same part")
        text = restore(edit.text, mask(part.text, masks).originals)
        if text == part.text:
            raise BadEdit("an edit changes nothing")
        if not _is_encodable(text):
            raise BadEdit("an edited text is not valid Unicode")
        changes[edit.path] = Change(part, text)
    return tuple(changes.values())


def same_edits(done: Decision, edits: Sequence[Edit], masks: Masks) -> bool:
    """Whether ``edits``, with masked places restored, are those that ``done`` made."""
    before = {edit.path: edit.text for edit in done.before}
    asked = {edit.path: restore(edit.text, mask(before.get(edit.path, ""), masks).originals) for edit in edits}
    return asked == {edit.path: edit.text for edit in done.edits}


def edited(query: Query, changes: Sequence[Change]) -> Query:
    """The query with the changes in body and parts."""
    texts = {change.part.path: change.text for change in changes}
    body = canonical.apply_edits(query.body, texts)
    grown = sum(len(change.text.encode()) - len(change.part.text.encode()) for change in changes)
    return replace(
        query,
        body=body,
        parts=tuple(replace(part, text=texts.get(part.path, part.text)) for part in query.parts),
        prompt_tokens=max(query.prompt_tokens + grown, 0),
    )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
