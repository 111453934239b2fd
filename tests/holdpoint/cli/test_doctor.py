from __future__ import annotations

import socket
import threading
from importlib import resources

import pytest
import redis

from tests.support.certificates import Authority
from tests.support.cli import Cli
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

SAMPLE = (resources.files("holdpoint.demo") / "policy.yaml").read_text()
ANY_PORTS = {"HOLDPOINT_GATEWAY_PORT": "0", "HOLDPOINT_BOT_PORT": "0"}


def grades(cli: Cli, **settings: str) -> dict[str, str]:
    """check → grade, after a run whose exit code agrees with them."""
    ended = cli("doctor", "--json", settings=ANY_PORTS | settings)
    found = {check["check"]: check["grade"] for check in ended.json["checks"]}
    assert ended.code == (1 if "fail" in found.values() else 0)
    assert ended.json["healthy"] == (ended.code == 0)
    return found


def test_all_is_well(cli: Cli) -> None:
    assert cli("policy", "push", "-", stdin=SAMPLE).code == 0
    cli("keys", "create", "--principal", "sam@example.com", "--role", "reviewer")
    assert set(grades(cli).values()) == {"ok"}
    table = cli("doctor", settings=ANY_PORTS)
    assert table.code == 0
    assert "append-only file" in table.out


def test_what_is_missing_is_named(cli: Cli) -> None:
    found = grades(cli)
    assert (found["policy"], found["keys"], found["redis"]) == ("fail", "warn", "ok")


def test_a_redis_that_loses_or_evicts_fails(cli: Cli, redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory-policy", "allkeys-lru")
    found = grades(cli, HOLDPOINT_REDIS_URL=redis_server.url)
    assert (found["persistence"], found["eviction"]) == ("fail", "fail")


def test_no_redis_a_taken_port_a_bad_ledger_and_half_of_slack_fail(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = grades(
            cli,
            HOLDPOINT_REDIS_URL="unix:///nowhere.sock",
            HOLDPOINT_GATEWAY_PORT=str(taken.getsockname()[1]),
            HOLDPOINT_LEDGER_URL="sqlite:////dev/null/ledger.sqlite3",
            SLACK_BOT_TOKEN="xoxb-1",
        )
    assert found["redis"] == found["gateway port"] == found["ledger"] == found["slack"] == "fail"
    assert found["bot port"] == "ok"


def test_wrong_settings_are_findings_too(cli: Cli) -> None:
    ended = cli("doctor", "--json", settings={"HOLDPOINT_BOT_PORT": "x"})
    assert ended.code == 1
    assert ended.json["checks"][0]["grade"] == "fail"


def test_a_missing_credential_is_a_warning(cli: Cli) -> None:
    text = SAMPLE.replace("environment: production}", "environment: production, credential: env:NOT_SET_ANYWHERE}")
    assert cli("policy", "push", "-", stdin=text).code == 0
    assert grades(cli)["credentials"] == "warn"


def test_a_program_on_the_port_that_speaks_no_http_is_another_program(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def greet() -> None:
            client, _ = taken.accept()
            with client:
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                client.recv(1000)

        threading.Thread(target=greet, daemon=True).start()
        found = grades(cli, HOLDPOINT_GATEWAY_PORT=str(taken.getsockname()[1]))
    assert found["gateway port"] == "fail"


def test_a_port_does_not_matter_where_the_gateway_has_a_socket(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = grades(cli, HOLDPOINT_GATEWAY_SOCKET="gateway.sock", HOLDPOINT_GATEWAY_PORT=port)
    assert "gateway port" not in found


@pytest.mark.parametrize("asks", [False, True], ids=["TLS", "TLS with certificates of clients"])
async def test_a_gateway_with_tls_is_known_on_its_port(cli: Cli, *, asks: bool) -> None:
    authority, port = Authority(cli.folder), free_port()
    pair = authority.issue("localhost")
    settings = ANY_PORTS | {
        "HOLDPOINT_GATEWAY_PORT": str(port),
        "HOLDPOINT_GATEWAY_TLS_CERT": str(pair.certificate),
        "HOLDPOINT_GATEWAY_TLS_KEY": str(pair.key),
        "HOLDPOINT_GATEWAY_TLS_CLIENT_CA": str(authority.ca) if asks else "",
    }
    gateway = cli.start("gateway", settings=settings)
    try:
        await wait_until(lambda: _listens(port), "it listens", seconds=60)
        assert grades(cli, **settings)["gateway port"] == "ok"
    finally:
        gateway.terminate()
        gateway.communicate(timeout=60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_redis_that_takes_no_writes_fails(cli: Cli, redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory", "1")
        assert grades(cli, HOLDPOINT_REDIS_URL=redis_server.url)["memory"] == "fail"
        client.config_set("maxmemory", "0")
        client.replicaof("127.0.0.1", "1")
        found = grades(cli, HOLDPOINT_REDIS_URL=redis_server.url)
    assert found["role"] == "fail"
    assert "memory" not in found
