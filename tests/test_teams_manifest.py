"""The Teams app: within the limits of Microsoft's schema, with commands that exist, and icons as Teams wants them.

``HOLDPOINT_TEAMS_SCHEMAS`` names a folder with the published schemas (``v1.19/MicrosoftTeams.schema.json`` …): the
``build/json-schemas/teams`` of the npm package ``@microsoft/app-manifest``. Without it the package is looked for where
`make gallery` has put it, and else only the rules here are held.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from bot.commands import TABLE
from bot.teams.home import WORD
from holdpoint.cli.teams import FOLDER, packed

ROOT = Path(__file__).parent.parent
APP = "11111111-2222-3333-4444-555555555555"
VALUES = {"APP_ID": APP, "URL": "https://hp.example.com", "DOMAIN": "hp.example.com", "VERSION": "1.2.3"}
NPM = ROOT / "build" / "gallery" / "node_modules" / "@microsoft" / "app-manifest" / "build" / "json-schemas" / "teams"
SCHEMAS = Path(os.environ.get("HOLDPOINT_TEAMS_SCHEMAS") or NPM)
# Teams' own word beside the table: a page drawn for one person.
OWN = {WORD: "what waits for you, your own requests, and how things stand"}


def manifest() -> dict[str, Any]:
    with zipfile.ZipFile(BytesIO(packed(VALUES))) as archive:
        read: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return read


def commands() -> Iterator[tuple[str, str, str]]:
    """(scope, title, description) of every command that Teams offers."""
    for offered in manifest()["bots"][0]["commandLists"]:
        (scope,) = offered["scopes"]
        for each in offered["commands"]:
            yield scope, each["title"], each["description"]


def known() -> dict[str, str]:
    """The words of every command → what the manifest says of it."""
    said = {}
    for row in TABLE:
        words = " ".join(row.form.words)
        arguments = row.form.shown.removeprefix(words).strip()
        said[words] = f"{arguments}: {row.help}" if arguments else row.help
    return said | OWN


def test_the_commands_are_those_of_the_table_in_its_words() -> None:
    table = known()
    assert [(title, description) for _, title, description in commands() if table.get(title) != description] == []


def test_each_scope_has_its_list_and_no_command_twice() -> None:
    scopes = [each["scopes"] for each in manifest()["bots"][0]["commandLists"]]
    assert scopes == [["personal"], ["team"], ["groupChat"]]
    named = [(scope, title) for scope, title, _ in commands()]
    assert len(named) == len(set(named))
    assert {"personal", "team", "groupChat"} == {scope for scope, title in named if title == "help"}
    assert {"team", "groupChat"} == {scope for scope, title in named if title == "route here"}


def test_the_lists_are_short_enough_for_every_version_of_the_schema() -> None:
    lists = manifest()["bots"][0]["commandLists"]
    assert len(lists) <= 3
    assert all(1 <= len(each["commands"]) <= 10 for each in lists)
    assert [title for _, title, _ in commands() if not 1 <= len(title) <= 32] == []
    assert [said for _, _, said in commands() if not 1 <= len(said) <= 128] == []


def test_the_texts_are_within_the_limits() -> None:
    read = manifest()
    assert len(read["name"]["short"]) <= 30
    assert len(read["name"]["full"]) <= 100
    assert len(read["description"]["short"]) <= 80
    assert len(read["description"]["full"]) <= 4000
    assert len(read["developer"]["name"]) <= 32
    assert re.fullmatch(r"#[0-9a-fA-F]{6}", read["accentColor"])
    assert all(read["developer"][url].startswith("https://") for url in ("websiteUrl", "privacyUrl", "termsOfUseUrl"))


def test_it_asks_for_no_more_than_is_used() -> None:
    read = manifest()
    (bot,) = read["bots"]
    assert bot["botId"] == read["id"] == APP
    assert set(bot["scopes"]) == {"personal", "team", "groupChat"}
    assert {name for name in bot if name.startswith(("supports", "is")) and bot[name]} == set()
    assert read["permissions"] == ["identity", "messageTeamMembers"]
    assert read["validDomains"] == ["hp.example.com"]
    # No permission on a team's content, no Graph, no tab, no file, no message extension.
    assert {"authorization", "webApplicationInfo", "staticTabs", "composeExtensions", "devicePermissions"}.isdisjoint(
        read
    )


def test_every_placeholder_is_one_that_the_command_fills() -> None:
    named = set(re.findall(r"\$\{\{(\w+)\}\}", (FOLDER / "manifest.json").read_text()))
    assert named == set(VALUES)
    assert "${{" not in json.dumps(manifest())


def test_the_color_icon_is_192_pixels_and_fills_the_square() -> None:
    with Image.open(FOLDER / "color.png") as icon:
        assert (icon.format, icon.size) == ("PNG", (192, 192))
        # Teams cuts a bot's icon to a hexagon: nothing of the mark may lie near the edge, and nothing there be clear.
        corners = {icon.convert("RGBA").getpixel((x, y)) for x in (0, 191) for y in (0, 191)}
    assert corners == {(0x23, 0x40, 0x8E, 255)}


def test_the_outline_icon_is_32_pixels_white_and_otherwise_clear() -> None:
    with Image.open(FOLDER / "outline.png") as icon:
        assert (icon.format, icon.mode, icon.size) == ("PNG", "RGBA", (32, 32))
        pixels = [icon.getpixel((x, y)) for x in range(32) for y in range(32)]
    assert {pixel[:3] for pixel in pixels if isinstance(pixel, tuple) and pixel[3]} == {(255, 255, 255)}
    assert {pixel[3] for pixel in pixels if isinstance(pixel, tuple)} >= {0, 255}


@pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="HOLDPOINT_TEAMS_SCHEMAS names no folder, and `make gallery-tools` has not run"
)
@pytest.mark.parametrize("version", ["1.19", "1.22"])
def test_it_is_valid_by_the_published_schema(version: str) -> None:
    schema = json.loads((SCHEMAS / f"v{version}" / "MicrosoftTeams.schema.json").read_text())
    validator = jsonschema.Draft7Validator(schema)  # it says draft 4, and uses `const`
    assert [error.message for error in validator.iter_errors(manifest() | {"manifestVersion": version})] == []
    assert [error.message for error in validator.iter_errors(manifest() | {"manifestVersion": "0"})] != []
