from __future__ import annotations

import pytest

from bot.web.forms import BadForm, choice, edits, written_out
from holdpoint.model import DecisionKind, PartRole
from tests.bot.world import World, conversation

PATH = "messages/0/content"


@pytest.mark.parametrize(
    ("text", "typed", "expected"),
    [
        ("a\nb", "a\r\nb", None),
        ("a\r\nb", "a⟨U+000D⟩\r\nb", None),
        ("a\r\nb", "a⟨U+000D⟩\r\nc", "a\r\nc"),
        ("a\u202eb", "a⟨U+202E⟩b", None),
        ("a\u202eb", "ab", "ab"),
        ("a\u202eb", "a⟨U+202E⟩c", "a\u202ec"),
        ("plain", "plain ⟨U+200B⟩", "plain \u200b"),
        ("plain", "plain ⟨U+0041⟩ ⟨U+FFFFFF⟩ ⟨U+202e⟩", "plain ⟨U+0041⟩ ⟨U+FFFFFF⟩ ⟨U+202e⟩"),
        ("it says ⟨U+202E⟩", "it says ⟨U+202E⟩", None),
        ("it says ⟨U+202E⟩", "it said ⟨U+202E⟩", "it said ⟨U+202E⟩"),
        ("\nstarts with a line break", "\r\nstarts with a line break", None),
        ("", "", None),
    ],
)  # fmt: skip
async def test_what_was_edited(world: World, text: str, typed: str, expected: str | None) -> None:
    hold = await world.hold_draft(conversation((PartRole.USER, text)))
    found = edits(hold, {PATH: text}, {f"edit:{PATH}": typed})
    assert [edit.text for edit in found] == ([] if expected is None else [expected])


@pytest.mark.promise(7)
def test_text_areas_show_what_is_hidden() -> None:
    assert written_out("a\u202eb") == "a⟨U+202E⟩b"
    assert written_out("⟨U+202E⟩ \u202e") == "⟨U+202E⟩ \u202e"  # cannot be told apart on the way back


def test_a_choice_covers_each_hold_once() -> None:
    made = choice("h1", {"decision": "reject", "digest": "d", "reason": " no\r\nway ", "also": "h2 h1 h2"})
    assert (made.kind, made.digest, made.reason, made.covered) == (DecisionKind.REJECT, "d", "no\nway", ("h1", "h2"))


@pytest.mark.parametrize("fields", [{}, {"decision": "release"}])
def test_no_choice(fields: dict[str, str]) -> None:
    with pytest.raises(BadForm):
        choice("h1", fields)
