from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from holdpoint.cli.pushing import push_initial
from holdpoint.errors import PolicyError
from holdpoint.store import Store
from tests.support.cli import Cli

SAMPLE = (resources.files("holdpoint.demo") / "policy.yaml").read_text()
OTHER = SAMPLE.replace("timeout: 10m\n", "timeout: 11m\n")
FAILING = SAMPLE.replace("expect: {verdict: block", "expect: {verdict: allow")
INVALID = SAMPLE.replace("verdict: modify", "verdict: modfy", 1)
INVALID_LINE = next(number for number, line in enumerate(INVALID.splitlines(), 1) if "verdict: modfy" in line)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("sample", SAMPLE), ("other", OTHER), ("failing", FAILING), ("invalid", INVALID)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_the_sample_policy_is_valid_and_passes_its_own_tests(cli: Cli, files: Path) -> None:
    ended = cli("policy", "check", files / "sample.yaml")
    assert (ended.code, ended.err) == (0, "")
    ended = cli("policy", "test", files / "sample.yaml")
    assert ended.code == 0
    assert "ok  a contractor asks for a password" in ended.out
    assert cli("policy", "check", "-", stdin=SAMPLE).code == 0


@pytest.mark.parametrize("verb", ["check", "test", "push"])
@pytest.mark.parametrize("name", ["invalid", "failing"])
async def test_what_is_wrong_is_said_with_file_and_line_and_changes_nothing(
    verb: str, name: str, cli: Cli, files: Path, store: Store
) -> None:
    ended = cli("policy", verb, f"{name}.yaml")
    assert ended.code == 1
    assert ended.err.startswith(f"{name}.yaml:{INVALID_LINE if name == 'invalid' else ''}")
    assert ended.err.endswith(f"holdpoint: {name}.yaml: not valid, and nothing was changed\n")
    assert await store.config.policy() is None


def test_problems_are_printed_for_programs_too(cli: Cli, files: Path) -> None:
    ended = cli("policy", "check", "invalid.yaml", "--json")
    assert ended.code == 1
    assert ended.json["valid"] is False
    assert ended.json["problems"][0]["line"] == INVALID_LINE


def test_versions_are_pushed_pulled_listed_compared_and_taken_back(cli: Cli, files: Path) -> None:
    assert cli("policy", "push", "sample.yaml", "--note", "first").out == "version 1 is in force\n"
    assert cli("policy", "push", "other.yaml", "--json").json == {"version": 2}
    assert cli("policy", "pull").out == OTHER
    assert cli("policy", "pull", "--version", "1").out == SAMPLE
    assert cli("policy", "pull", "-o", "pulled.yaml").code == 0
    assert (files / "pulled.yaml").read_text() == OTHER
    difference = cli("policy", "diff")
    assert difference.code == 1
    assert "-    timeout: 10m\n+    timeout: 11m" in difference.out
    assert cli("policy", "diff", "other.yaml").code == 0
    assert cli("policy", "diff", "1", "sample.yaml", "--json").json["differ"] is False
    assert cli("policy", "rollback", "1").out == "version 3 is in force\n"
    assert cli("policy", "pull", "--json").json["text"] == SAMPLE
    history = cli("policy", "history", "--json").json["versions"]
    assert [(v["version"], v["note"]) for v in history] == [(3, "back to version 1"), (2, ""), (1, "first")]


async def test_a_push_names_the_version_that_it_replaces(cli: Cli, files: Path, store: Store) -> None:
    assert cli("policy", "push", "sample.yaml", "--expect", "0").code == 0
    ended = cli("policy", "push", "other.yaml", "--expect", "0")
    assert ended.code == 1
    assert ended.err == "holdpoint: the policy in force is version 1, not 0\n"
    stored = await store.config.policy()
    assert stored is not None
    assert stored.text == SAMPLE


@pytest.mark.parametrize("arguments", [["pull"], ["pull", "--version", "7"], ["rollback", "7"]])
def test_what_is_not_there_is_a_no(arguments: list[str], cli: Cli) -> None:
    assert cli("policy", *arguments).code == 1


def test_a_file_that_cannot_be_read_is_configuration(cli: Cli, files: Path) -> None:
    (files / "latin.yaml").write_bytes(b"version: 1 # \xff")
    ended = cli("policy", "push", "latin.yaml")
    assert (ended.code, ended.err) == (2, "holdpoint: latin.yaml: not UTF-8 text\n")


async def test_the_first_policy_is_pushed_only_when_there_is_none(files: Path, store: Store) -> None:
    await push_initial(store, None)
    assert await store.config.policy() is None
    with pytest.raises(PolicyError):
        await push_initial(store, files / "invalid.yaml")
    await push_initial(store, files / "sample.yaml")
    await push_initial(store, files / "other.yaml")
    stored = await store.config.policy()
    assert stored is not None
    assert (stored.version, stored.text) == (1, SAMPLE)


def test_differences_where_there_is_no_policy_yet(cli: Cli, files: Path) -> None:
    ended = cli("policy", "diff")
    assert (ended.code, ended.err) == (1, "holdpoint: there is no policy yet: every request is refused\n")
    assert cli("policy", "diff", "sample.yaml").out.startswith("--- version 0\n+++ sample.yaml\n")


@pytest.mark.parametrize("name", ["\u00b2", "9" * 5_000])
def test_what_looks_like_a_version_and_is_none_is_a_file(name: str, cli: Cli) -> None:
    ended = cli("policy", "diff", name)
    assert ended.code == 2
    assert ended.err.startswith(f"holdpoint: {name}: ")


async def test_a_note_that_is_no_text_changes_nothing(cli: Cli, files: Path, store: Store) -> None:
    ended = cli("policy", "push", "sample.yaml", "--note", "caf\udce9")  # as a terminal with Latin-1 sends it
    assert ended.code == 2
    assert ended.err.startswith("holdpoint: Invalid value for '--note': must be UTF-8 text")
    assert await store.config.policy() is None
