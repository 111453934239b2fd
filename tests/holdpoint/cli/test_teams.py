"""`holdpoint teams package` as an operator runs it."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from holdpoint.cli.teams import FILES, FOLDER, packed, version_of
from tests.support.cli import Cli

APP = "11111111-2222-3333-4444-555555555555"
USUAL = {"MicrosoftAppId": APP, "HOLDPOINT_PUBLIC_URL": "https://hp.example.com", "MicrosoftAppPassword": "never-shown"}
FILE = "holdpoint-teams.zip"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The program in an empty folder. It needs no Redis."""
    return Cli(tmp_path, USUAL)


def manifest(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(FILES)
        assert [archive.read(name) for name in FILES[1:]] == [(FOLDER / name).read_bytes() for name in FILES[1:]]
        read: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return read


def test_the_package_is_for_the_operator_s_bot_and_address(cli: Cli, tmp_path: Path) -> None:
    ended = cli("teams", "package", "--json")
    assert (ended.code, ended.err) == (0, "")
    made = manifest(tmp_path / FILE)
    assert made["id"] == made["bots"][0]["botId"] == APP
    assert made["validDomains"] == ["hp.example.com"]
    assert made["developer"]["websiteUrl"] == "https://hp.example.com/review"
    assert ended.json == {
        "file": FILE, "app_id": APP, "domain": "hp.example.com", "version": made["version"], "warnings": [],
    }  # fmt: skip
    assert "never-shown" not in (tmp_path / FILE).read_bytes().decode("latin-1") + ended.out


def test_it_says_what_it_made_where_and_for_whom(cli: Cli, tmp_path: Path) -> None:
    ended = cli("teams", "package", "--out", "app.zip")
    assert (ended.code, ended.err) == (0, "")
    assert ("app.zip" in ended.out, APP in ended.out, "hp.example.com" in ended.out) == (True, True, True)
    assert {path.name for path in tmp_path.iterdir()} == {"app.zip"}


@pytest.mark.parametrize(
    ("host", "domain", "url"),
    [
        ("https://other.example.com", "other.example.com", "https://other.example.com/review"),
        ("HTTPS://Other.Example.com./", "other.example.com", "https://other.example.com/review"),
        ("https://example.com:8443/holdpoint/", "example.com:8443", "https://example.com:8443/holdpoint/review"),
        ("https://[2001:db8::1]", "[2001:db8::1]", "https://[2001:db8::1]/review"),
    ],
)
def test_host_wins_over_the_public_url(cli: Cli, tmp_path: Path, host: str, domain: str, url: str) -> None:
    ended = cli("teams", "package", "--host", host)
    assert (ended.code, ended.err) == (0, "")
    made = manifest(tmp_path / FILE)
    assert (made["validDomains"], made["developer"]["privacyUrl"]) == ([domain], url)


@pytest.mark.parametrize(
    "host", ["http://localhost:8081", "http://127.0.0.1:8081", "http://[::1]:8081", "http://bot.localhost"]
)
def test_this_machine_s_own_address_is_taken_with_a_warning(cli: Cli, tmp_path: Path, host: str) -> None:
    ended = cli("teams", "package", "--json", "--host", host)
    assert ended.code == 0
    assert "Teams cannot reach" in ended.err
    assert len(ended.json["warnings"]) == 1
    manifest(tmp_path / FILE)


def test_without_a_public_url_it_warns_too(cli: Cli) -> None:
    ended = cli("teams", "package", settings={"HOLDPOINT_PUBLIC_URL": ""})
    assert (ended.code, "HOLDPOINT_PUBLIC_URL" in ended.err) == (0, True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MicrosoftAppId": ""}, "MicrosoftAppId: not set"),
        ({"MicrosoftAppId": "my-bot"}, "MicrosoftAppId: must be an id"),
        ({"HOLDPOINT_PUBLIC_URL": "http://hp.example.com"}, "HOLDPOINT_PUBLIC_URL: must be https"),
        ({"HOLDPOINT_PUBLIC_URL": "http://10.0.0.1"}, "HOLDPOINT_PUBLIC_URL: must be https"),
        ({"HOLDPOINT_PUBLIC_URL": "", "HOLDPOINT_BOT_HOST": "0.0.0.0"}, "HOLDPOINT_PUBLIC_URL: must be https"),  # noqa: S104
        ({"HOLDPOINT_PUBLIC_URL": "hp.example.com"}, "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ({"HOLDPOINT_PUBLIC_URL": "ftp://hp.example.com"}, "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ({"HOLDPOINT_PUBLIC_URL": "https://"}, "HOLDPOINT_PUBLIC_URL: must be a URL"),
    ],
)
def test_settings_that_make_no_app(cli: Cli, tmp_path: Path, settings: dict[str, str], words: str) -> None:
    ended = cli("teams", "package", settings=settings)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "host",
    [
        "https://user:secret@hp.example.com", "https://hp.example.com?next=x", "https://hp.example.com/#x",
        "https://*.example.com", "https://hp example.com", "https://hp.example.com:port", "https://[::1", "https://ünïcode.example",
        "https://-hp.example.com", f"https://hp.example.com/{'x' * 2000}", "javascript:alert(1)", "https://${{APP_ID}}/",
    ],
)  # fmt: skip
def test_a_host_that_is_none(cli: Cli, tmp_path: Path, host: str) -> None:
    ended = cli("teams", "package", "--host", host)
    assert (ended.code, ended.out) == (2, "")
    assert "--host: must be a URL" in ended.err
    assert "secret" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_forced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("mine")
    refused = cli("teams", "package")
    assert (refused.code, refused.out) == (1, "")
    assert "--force" in refused.err
    assert (tmp_path / FILE).read_text() == "mine"
    assert cli("teams", "package", "--force").code == 0
    manifest(tmp_path / FILE)
    assert {path.name for path in tmp_path.iterdir()} == {FILE}


@pytest.mark.parametrize("out", ["missing/app.zip", "."])
def test_a_place_that_cannot_be_written(cli: Cli, tmp_path: Path, out: str) -> None:
    ended = cli("teams", "package", "--out", out)
    assert (ended.code, ended.out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ended = cli("teams", "package", "--out", "file/app.zip")
    assert (ended.code, "Not a directory" in ended.err) == (2, True)


def test_the_same_settings_make_the_same_bytes() -> None:
    values = {"APP_ID": APP, "URL": "https://hp.example.com", "DOMAIN": "hp.example.com", "VERSION": "1.2.3"}
    made = packed(values)
    with zipfile.ZipFile(BytesIO(made)) as archive:
        assert {file.date_time for file in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert made == packed(values)


def test_no_value_changes_the_manifest_s_structure(tmp_path: Path) -> None:
    odd = '", "permissions": ["${{APP_ID}}"], "x": "'
    file = tmp_path / "odd.zip"
    file.write_bytes(packed({"APP_ID": APP, "URL": odd, "DOMAIN": odd, "VERSION": odd}))
    made = manifest(file)
    assert (made["version"], made["validDomains"]) == (odd, [odd])
    assert made["permissions"] == ["identity", "messageTeamMembers"]


@pytest.mark.parametrize(
    ("installed", "version"),
    [
        ("0.1.0", "0.1.0"), ("1.22.333", "1.22.333"), ("0.2.0.dev3+g1234", "0.2.0"), ("2.0rc1", "2.0.0"), ("3", "3.0.0"),
        ("1.02.3", "1.2.3"), ("", "0.0.0"), ("unknown", "0.0.0"),
    ],
)  # fmt: skip
def test_the_version_is_one_that_teams_takes(installed: str, version: str) -> None:
    assert version_of(installed) == version
