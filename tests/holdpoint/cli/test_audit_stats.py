"""`holdpoint audit stats` and `audit upgrade` as an operator runs them."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from holdpoint.clock import now_ms
from holdpoint.ledger.sql import Ledger
from tests.holdpoint.ledger.samples import story
from tests.holdpoint.ledger.test_history import KIM, SAM, Past
from tests.holdpoint.ledger.test_migration import made_by_version_1
from tests.support.cli import Cli


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "ledger.sqlite3"


@pytest.fixture
def filled(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.holdpoint.ledger.test_history.NOW", now_ms())
    ledger = Ledger.open(f"sqlite:///{file}")
    past = Past(ledger)
    past.hold(("approved", SAM), days_ago=0)
    past.hold(("rejected", KIM | {"name": "Kim\u202e"}), days_ago=0)
    past.hold(days_ago=0)
    past.write()
    ledger.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.promise(7)
def test_stats_for_people(cli: Cli) -> None:
    ended = cli("audit", "stats", "--days", "2")
    assert ended.code == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["all", "3", "1", "1", "0", "0", "1", "0", "1", "min"] in lines
    assert ["contractors", "3", "1", "1", "0", "0", "1", "0", "1", "min"] in lines
    assert "Kim⟨U+202E⟩" in ended.out
    assert "time to decision: median 1 min, 95 % within 1 min" in ended.out


@pytest.mark.usefixtures("filled")
def test_stats_for_programs_and_as_a_picture(cli: Cli, tmp_path: Path) -> None:
    ended = cli("audit", "stats", "--json", "--png", "numbers.png")
    assert (ended.json["held"], ended.json["waiting"], len(ended.json["by_day"])) == (3, 1, 30)
    picture = tmp_path / "numbers.png"
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    assert Image.open(io.BytesIO(picture.read_bytes())).format == "PNG"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("days", ["0", "367", "x", "-1"])
def test_a_number_of_days_that_makes_no_sense(cli: Cli, days: str) -> None:
    ended = cli("audit", "stats", "--days", days)
    assert (ended.code, ended.out) == (2, "")


@pytest.mark.usefixtures("filled")
def test_a_picture_that_cannot_be_written_is_one_line(cli: Cli) -> None:
    ended = cli("audit", "stats", "--png", "nowhere/numbers.png")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "holdpoint: nowhere/numbers.png: No such file or directory\n"


def test_a_ledger_of_version_1_is_upgraded_on_request(cli: Cli, file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    made_by_version_1(engine, story())
    engine.dispose()
    refused = cli("audit", "stats")
    assert (refused.code, refused.out) == (2, "")
    assert "holdpoint audit upgrade" in refused.err
    assert cli("audit", "upgrade").code == 0
    assert cli("audit", "upgrade").out == "the ledger is of this version\n"
    assert cli("audit", "verify").code == 0


@pytest.mark.parametrize("asked", [["doctor"], ["run", "--as", "ada@example.com", "whoami"]])
def test_no_other_command_upgrades_a_ledger(cli: Cli, file: Path, asked: list[str]) -> None:
    engine = create_engine(f"sqlite:///{file}")
    made_by_version_1(engine, story())
    ended = cli(*asked, settings={"HOLDPOINT_GATEWAY_PORT": "0", "HOLDPOINT_BOT_PORT": "0"})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM holdpoint_ledger_version")).scalar() == 1
    engine.dispose()
    assert "holdpoint audit upgrade" in ended.out + ended.err


def test_there_is_nothing_to_upgrade(cli: Cli, file: Path) -> None:
    ended = cli("audit", "upgrade")
    assert ended.code == 2
    assert "there is no ledger" in ended.err
    assert not file.exists()
