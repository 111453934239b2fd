"""The root: exit codes, one line per error, nothing of a terminal's control in it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from importlib import resources
from pathlib import Path

import pytest

from tests.support.cli import Cli, command, environment

SAMPLE = (resources.files("holdpoint.demo") / "policy.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "holdpoint: No such command 'frobnicate'. (see holdpoint --help)"),
        (["keys", "create"], "holdpoint: Missing option '--principal'. (see holdpoint keys create --help)"),
        (["policy", "push", "nowhere.yaml"], "holdpoint: nowhere.yaml: No such file or directory"),
        (["demo", "--port", "99999"], "holdpoint: Invalid value for '--port'"),
        (["frob\x1b[2Jnicate"], "holdpoint: No such command 'frob\\x1b[2Jnicate'"),
    ],
)
def test_usage_and_configuration_are_one_line_and_exit_2(arguments: list[str], said: str, cli: Cli) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)
    assert ended.err.count("\n") == 1
    assert "\x1b" not in ended.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HOLDPOINT_GATEWAY_PORT": "many"}, "holdpoint: HOLDPOINT_GATEWAY_PORT: "),
        ({"HOLDPOINT_REDIS_URL": "http://example.com"}, "holdpoint: HOLDPOINT_REDIS_URL: not a redis://"),
        (
            {"HOLDPOINT_REDIS_URL": "redis://127.0.0.1:1?connect_timeout=5"},
            "holdpoint: HOLDPOINT_REDIS_URL: not a redis://",
        ),
        (
            {"HOLDPOINT_REDIS_URL": "rediss://127.0.0.1:1?ssl_cert_reqs=no"},
            "holdpoint: HOLDPOINT_REDIS_URL: not a redis",
        ),
        ({"HOLDPOINT_REDIS_URL": "unix:///nowhere/redis.sock"}, "holdpoint: Redis: ConnectionError"),
        ({"HOLDPOINT_LOG_LEVEL": "LOUD"}, "holdpoint: HOLDPOINT_LOG_LEVEL: "),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(settings: dict[str, str], said: str, cli: Cli) -> None:
    ended = cli("keys", "list", settings=settings)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)
    assert ended.err.count("\n") == 1


def test_the_help_names_every_command_of_the_design(cli: Cli) -> None:
    ended = cli("--help")
    assert ended.code == 0
    for name in ("demo", "up", "gateway", "bot", "policy", "keys", "holds", "audit", "doctor"):
        assert f"  {name} " in ended.out


def test_without_a_redis_url_a_command_brings_its_own_server_and_keeps_what_it_wrote(cli: Cli) -> None:
    embedded = {"HOLDPOINT_REDIS_URL": ""}
    created = cli("keys", "create", "--principal", "dana@example.com", "--json", settings=embedded)
    assert created.code == 0
    listed = cli("keys", "list", "--json", settings=embedded)
    assert [key["id"] for key in listed.json["keys"]] == [created.json["id"]]


def ended_into(cli: Cli, output: int) -> tuple[int, str]:
    """Exit code and errors of a command that has something to print."""
    ended = subprocess.run(
        command("policy", "test", "-"), cwd=cli.folder, env=environment(cli.settings), input=SAMPLE, stdout=output,
        stderr=subprocess.PIPE, text=True, timeout=100, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stderr


def test_output_that_cannot_be_written_is_one_line(cli: Cli) -> None:
    with Path("/dev/full").open("wb") as full:
        assert ended_into(cli, full.fileno()) == (
            2,
            "holdpoint: the output cannot be written: No space left on device\n",
        )


def test_who_stops_reading_is_told_no_answer(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended_into(cli, writer) == (141, "")  # as a shell says SIGPIPE; 1 would be the answer "no"
    finally:
        os.close(writer)


def test_what_answers_in_the_place_of_the_bot_is_said(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                client.recv(1000)

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        ended = cli("holds", "list", settings={"HOLDPOINT_KEY": "a-token", "HOLDPOINT_PUBLIC_URL": url})
    assert (ended.code, ended.err) == (2, f"holdpoint: {url}: what answers there is not Holdpoint's bot\n")


def test_the_id_of_a_hold_may_be_any_text(cli: Cli) -> None:
    nowhere = {"HOLDPOINT_KEY": "a-token", "HOLDPOINT_PUBLIC_URL": "http://127.0.0.1:1"}
    ended = cli("holds", "show", "caf\udce9", settings=nowhere)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
