"""`holdpoint audit …` as an operator runs it: output, files and exit codes."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdpoint.ledger.sql import Ledger
from tests.holdpoint.ledger.samples import event, story
from tests.support.cli import Cli


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture(autouse=True)
def ledger(file: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{file}")
    opened.append([*story(), event("hold.created", "odd\u202e", 50, b'{"x": "\x1b[2J')])
    yield opened
    opened.close()


def test_search_for_people(cli: Cli) -> None:
    ended = cli("audit", "search", "--rule", "secrets")
    heading, line = ended.out.splitlines()
    assert heading.split()[:3] == ["RECORD", "TIME", "KIND"]
    assert line.split() == [
        "1", "2023-11-14T22:13:21.000Z", "hold.created", "h1", "dana@example.com", "demo", "review", "secrets,", "night",
    ]  # fmt: skip
    assert ended.code == 0


def test_search_for_programs(cli: Cli) -> None:
    ended = cli("audit", "search", "--reviewer", "sam@example.com", "--since", "2023-11-01", "--until", "1h", "--json")
    (record,) = ended.json["records"]
    assert (record["seq"], record["data"]["decision"]["reason"]) == (3, "a test\x1b[31m account")
    assert ended.out.isascii()


def test_search_that_finds_nothing_is_well(cli: Cli) -> None:
    ended = cli("audit", "search", "--text", "nowhere", "--json")
    assert (ended.code, ended.json) == (0, {"records": []})


@pytest.mark.promise(7)
def test_no_output_for_people_controls_the_terminal(cli: Cli) -> None:
    for arguments in (["search"], ["show", "odd⟨U+202E⟩"], ["show", "h1"], ["verify"]):
        ended = cli("audit", *arguments)
        assert ended.code == 0
        assert not set(ended.out) & {"\x1b", "\x07", "\u202e"}
    assert "unreadable" in cli("audit", "search", "--unreadable").out


def test_show_tells_the_whole_story(cli: Cli) -> None:
    ended = cli("audit", "show", "h1")
    kinds = [line.split()[2] for line in ended.out.splitlines() if line.startswith("20")]
    assert kinds == ["hold.created", "card.shown", "hold.approved", "hold.released", "hold.completed"]
    exact = cli("audit", "show", "h1", "--json").json
    assert exact["subject"] == "h1"
    assert exact["records"][0]["data"]["body"]["messages"][0]["content"].endswith("\u202e?")
    assert exact["records"][0]["body_matches"] is False


def test_show_of_what_is_not_there(cli: Cli) -> None:
    ended = cli("audit", "show", "h\u202e9")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "holdpoint: the ledger has nothing on 'h\\u202e9'\n"


def test_verify_a_whole_ledger(cli: Cli, ledger: Ledger) -> None:
    head = ledger.head()
    ended = cli("audit", "verify", "--expect-head", head.hash, "--expect-seq", "8")
    assert (ended.code, ended.out) == (0, f"nothing wrong in 8 records\nhead: 8 {head.hash}\n")


def test_verify_names_what_was_changed(cli: Cli, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER holdpoint_ledger_no_update")
        connection.execute("UPDATE holdpoint_ledger SET reviewer = 'mallory', data = data || ' ' WHERE seq = 3")
        connection.execute("UPDATE holdpoint_ledger SET requester = 'x' WHERE seq = 5")
    ended = cli("audit", "verify")
    assert ended.code == 1
    assert "record 3 (h1): changed: the content is not what was hashed" in ended.out
    assert "record 5 (h1): column: column requester\n  expected dana@example.com\n  actual   x\n" in ended.out
    assert "2 findings in 8 records" in ended.out
    report = cli("audit", "verify", "--json", "--limit", "1")
    assert report.code == 1
    assert (report.json["ok"], report.json["checked"], report.json["more_findings"]) == (False, 8, 1)
    assert [(found["seq"], found["subject"], found["what"]) for found in report.json["findings"]] == [
        (3, "h1", "changed")
    ]


def test_verify_with_a_head_that_is_not_there(cli: Cli) -> None:
    ended = cli("audit", "verify", "--expect-head", "a" * 64)
    assert ended.code == 1
    assert "the head that you expect is not in this chain" in ended.out


def test_an_export_is_private_and_can_be_verified_elsewhere(cli: Cli, tmp_path: Path, ledger: Ledger) -> None:
    assert cli("audit", "export", "--output", "out.jsonl").code == 0
    out = tmp_path / "out.jsonl"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    nowhere = {"HOLDPOINT_DATA": "nowhere", "HOLDPOINT_REDIS_URL": ""}
    report = cli("audit", "verify", "--file", out, "--json", settings=nowhere)
    assert (report.code, report.json["checked"], report.json["head"]["hash"]) == (0, 8, ledger.head().hash)
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:3] + lines[4:]))
    ended = cli("audit", "verify", "--file", out, settings=nowhere)
    assert (ended.code, ended.out.splitlines()[0]) == (1, "record 4: missing: no record 4")


def test_an_export_of_a_stretch_begins_where_it_says(cli: Cli) -> None:
    lines = cli("audit", "export", "--since", "2023-11-14T22:13:24").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [4, 5, 6, 7, 8]
    ended = cli("audit", "verify", "--file", "-", stdin="".join(f"{line}\n" for line in lines))
    assert "nothing wrong in 5 records\nhead: from record 4, 8" in ended.out


def test_csv(cli: Cli) -> None:
    heading, *lines = csv.reader(cli("audit", "export", "--format", "csv").out.splitlines())
    assert heading[:4] == ["seq", "time", "kind", "subject"]
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "--since", "yesterday"], "--since"),
        (["search", "--kind", "nothing.such"], "--kind"),
        (["verify", "--expect-seq", "0"], "--expect-seq"),
        (["verify", "--file", "missing.jsonl"], "missing.jsonl"),
        (["export", "--format", "xml"], "--format"),
        (["show"], "SUBJECT"),
    ],
)
def test_wrong_usage_ends_with_2(cli: Cli, arguments: list[str], says: str) -> None:
    ended = cli("audit", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


@pytest.mark.parametrize("command", [["search"], ["show", "h1"], ["verify"], ["export"]])
def test_no_ledger_is_a_wrong_setting(cli: Cli, command: list[str]) -> None:
    ended = cli("audit", *command, settings={"HOLDPOINT_LEDGER_URL": "sqlite:///nowhere.sqlite3"})
    assert ended.code == 2
    assert ended.err == "holdpoint: HOLDPOINT_LEDGER_URL: there is no ledger at nowhere.sqlite3\n"
    assert not (cli.folder / "nowhere.sqlite3").exists()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(cli: Cli, tmp_path: Path) -> None:
    ended = cli("audit", "export", "--output", "no/folder.jsonl")
    assert ended.code == 1
    assert ended.err.startswith("holdpoint: no/folder.jsonl: ")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_no_file_is_written_into_and_never_replaced(cli: Cli, tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", bytearray()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def follow() -> None:
        with os.fdopen(reader, "rb") as stream:
            read.extend(stream.read())

    ended = cli("audit", "export", "--output", "pipe")
    thread = threading.Thread(target=follow)
    thread.start()
    thread.join(10)
    assert ended.code == 0, ended.err
    assert stat.S_ISFIFO(pipe.stat().st_mode)  # it might have been /dev/null
    assert len(read.splitlines()) == 8


def test_a_link_to_a_file_stays(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "today.jsonl").touch()
    (tmp_path / "latest.jsonl").symlink_to("today.jsonl")
    assert cli("audit", "export", "--output", "latest.jsonl").code == 0
    assert (tmp_path / "latest.jsonl").is_symlink()
    assert len((tmp_path / "today.jsonl").read_text().splitlines()) == 8
