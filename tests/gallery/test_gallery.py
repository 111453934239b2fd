"""The gallery is whole: each picture of the lists has its file, and the lists have every state. Draws nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from slack_sdk.models.blocks import Block

from holdpoint.model import State
from tests.fakes.slack.rules import message_problems, view_problems
from tests.gallery.pictures import Picture, pictures
from tests.gallery.teams import teams_pictures

FOLDER = Path(__file__).parents[2] / "docs" / "gallery"
ALL = list(pictures())
NAMES = [picture.name for picture in ALL] + [picture.name for picture in teams_pictures()]
MOST_FILES = 90
MOST_BYTES = 60_000


def test_each_picture_has_its_file_and_its_place_on_the_page() -> None:
    names = NAMES
    assert len(names) == len(set(names)) <= MOST_FILES
    assert {path.stem for path in FOLDER.glob("*.png")} == set(names), "make gallery"
    page = (FOLDER / "README.md").read_text()
    assert [name for name in names if f"]({name}.png)" not in page] == []


def test_every_state_is_there_for_the_card_and_for_the_requester() -> None:
    kinds = ("card", "dm", "teams", "teams-dm")
    assert {f"{kind}-{state.value}" for state in State for kind in kinds} <= set(NAMES)


def test_the_files_are_small() -> None:
    assert [path.name for path in FOLDER.glob("*.png") if path.stat().st_size > MOST_BYTES] == []


@pytest.mark.parametrize("picture", ALL, ids=lambda picture: picture.name)
def test_what_is_drawn_is_what_slack_would_take(picture: Picture) -> None:
    title = {"type": "plain_text", "text": picture.title or "x"}
    view = {"type": "modal", "title": title, "blocks": picture.blocks}
    assert (view_problems(view) if picture.kind == "modal" else message_problems(picture.blocks)) == []
    assert all(block is not None for block in Block.parse_all(picture.blocks))
