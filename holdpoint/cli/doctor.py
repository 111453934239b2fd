"""`holdpoint doctor`: is everything as it must be? One line per check: ok, warn or fail, and what to do.

Exit code 0 when nothing fails, 1 when something does. No line carries a secret.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import StrEnum

import click

from holdpoint.cli.common import json_option, opened_store, print_json, print_table, settings_with_logs
from holdpoint.clock import now_ms
from holdpoint.embedded import OLDEST
from holdpoint.errors import ConfigurationError, LedgerError, PolicyError, StoreUnavailable
from holdpoint.ledger.sql import Ledger
from holdpoint.model import Role
from holdpoint.policy import check_policy
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import Store

_SKEW_WARN_MS = 1_000
_SKEW_FAIL_MS = 30_000
_SLACK_TIMEOUT_S = 10


class Grade(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``advice`` is empty when all is well."""

    check: str
    grade: Grade
    said: str
    advice: str = ""


@click.command()
@json_option
def doctor(*, as_json: bool) -> int:
    """Check settings, Redis, policy, keys, ledger, Slack, clocks and ports."""
    findings = asyncio.run(_examine())
    healthy = not any(finding.grade is Grade.FAIL for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "checks": findings})
    else:
        print_table(
            ["", "CHECK", "FOUND", "WHAT TO DO"],
            [[finding.grade, finding.check, finding.said, finding.advice] for finding in findings],
        )
    return 0 if healthy else 1


async def _examine() -> list[Finding]:
    try:
        settings = settings_with_logs()
    except ConfigurationError as error:
        return [Finding("settings", Grade.FAIL, line, "see .env.example") for line in str(error).splitlines()]
    findings = [Finding("settings", Grade.OK, "every setting is valid")]
    findings.extend([finding async for finding in _stored(settings)])
    findings.append(await asyncio.to_thread(_ledger, settings))
    findings.append(await asyncio.to_thread(_slack, settings))
    findings.append(_port("gateway port", settings.gateway_host, settings.gateway_port))
    findings.append(_port("bot port", settings.bot_host, settings.bot_port))
    return findings


async def _stored(settings: Settings) -> AsyncIterator[Finding]:
    """Everything that is in Redis, and Redis itself."""
    where = "the server that HOLDPOINT_REDIS_URL names" if settings.redis_url else "the embedded server"
    try:
        async with opened_store(settings) as store:
            for finding in _server(await store.information(), where):
                yield finding
            yield await _policy(store)
            yield await _credentials(store)
            yield await _keys(store)
    except (ConfigurationError, StoreUnavailable) as error:
        yield Finding("redis", Grade.FAIL, str(error), f"start {where}, or correct HOLDPOINT_REDIS_URL")


def _server(said: dict[str, str], where: str) -> Iterator[Finding]:
    version = said.get("redis_version", "0")
    known = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if known >= OLDEST:
        yield Finding("redis", Grade.OK, f"{where} answers, version {version}")
    else:
        yield Finding("redis", Grade.FAIL, f"version {version}", "Holdpoint needs Redis 6.2 or newer, or Valkey")
    if said.get("aof_enabled") == "1":
        yield Finding("persistence", Grade.OK, "append-only file")
    else:
        yield Finding("persistence", Grade.FAIL, "no append-only file", "set `appendonly yes`: a restart loses holds")
    if said.get("aof_last_write_status", "ok") != "ok":
        yield Finding("persistence", Grade.FAIL, "the last write failed", "look at the server's disk and log")
    eviction = said.get("maxmemory_policy", "unknown")
    if eviction == "noeviction":
        yield Finding("eviction", Grade.OK, eviction)
    else:
        yield Finding("eviction", Grade.FAIL, eviction, "set `maxmemory-policy noeviction`: it may drop holds")
    yield _skew(said.get("server_time_usec"))


def _skew(server_time_usec: str | None) -> Finding:
    if server_time_usec is None or not server_time_usec.isdigit():
        return Finding("clock", Grade.WARN, "the server does not tell its time", "keep all clocks synchronised")
    apart = abs(now_ms() - int(server_time_usec) // 1000)
    if apart < _SKEW_WARN_MS:
        return Finding("clock", Grade.OK, "agrees with the server's")
    grade = Grade.WARN if apart < _SKEW_FAIL_MS else Grade.FAIL
    return Finding("clock", grade, f"{apart / 1000:.1f} s away from the server's", "synchronise the clocks (NTP)")


async def _policy(store: Store) -> Finding:
    stored = await store.config.policy()
    if stored is None:
        return Finding("policy", Grade.FAIL, "none: every request is refused", "holdpoint policy push FILE")
    try:
        _, warnings = await asyncio.to_thread(check_policy, stored.text, "policy")
    except PolicyError as error:
        said = f"version {stored.version} is not valid: {str(error).splitlines()[0]}"
        return Finding("policy", Grade.FAIL, said, "correct it and push it again, or holdpoint policy rollback")
    if warnings:
        said = f"version {stored.version} is valid; {warnings[0].render('policy')}"
        return Finding(
            "policy", Grade.WARN, said, "holdpoint policy pull | holdpoint policy check - shows all warnings"
        )
    return Finding("policy", Grade.OK, f"version {stored.version} is valid")


async def _credentials(store: Store) -> Finding:
    """Whether this process's environment has what the connections refer to."""
    stored = await store.config.policy()
    try:
        policy = check_policy(stored.text, "policy")[0] if stored else None
    except PolicyError:
        policy = None
    connections = policy.connections.values() if policy else ()
    missing = sorted({c.credential for c in connections if c.credential and resolve_credential(c.credential) is None})
    if missing:
        names = ", ".join(reference.removeprefix("env:") for reference in missing)
        return Finding("credentials", Grade.WARN, f"not set here: {names}", "set them where the gateway runs")
    return Finding("credentials", Grade.OK, "every connection has what it refers to")


async def _keys(store: Store) -> Finding:
    now = now_ms()
    records = [
        record
        for record in await store.config.keys()
        if record.revoked_ms is None and (record.expires_ms is None or record.expires_ms > now)
    ]
    if not records:
        return Finding("keys", Grade.WARN, "none is valid", "holdpoint keys create --principal …")
    if not any(Role.REVIEWER in record.roles for record in records):
        said = f"{len(records)} valid, none of a reviewer"
        return Finding("keys", Grade.WARN, said, "holdpoint keys create --role reviewer …, unless all review in Slack")
    return Finding("keys", Grade.OK, f"{len(records)} valid")


def _ledger(settings: Settings) -> Finding:
    try:
        ledger = Ledger.open(settings.ledger)
        try:
            records = ledger.head().seq
        finally:
            ledger.close()
    except (ConfigurationError, LedgerError) as error:
        return Finding("ledger", Grade.FAIL, str(error), "correct HOLDPOINT_LEDGER_URL, or the database's rights")
    return Finding("ledger", Grade.OK, f"{records} records")


def _slack(settings: Settings) -> Finding:
    if settings.slack_bot_token is None:
        return Finding("slack", Grade.OK, "not set up; cards appear in the web inbox")
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        advice = "set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)"
        return Finding("slack", Grade.FAIL, "no way for clicks to come back", advice)
    request = urllib.request.Request(  # noqa: S310 - the operator's own SLACK_API_URL
        settings.slack_api_url.rstrip("/") + "/auth.test",
        method="POST",
        headers={"Authorization": f"Bearer {settings.slack_bot_token.get_secret_value()}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SLACK_TIMEOUT_S) as answer:  # noqa: S310 - as above
            said = json.load(answer)
    except (OSError, ValueError) as error:
        return Finding("slack", Grade.FAIL, f"auth.test: {type(error).__name__}", "can this machine reach Slack?")
    if not isinstance(said, dict) or not said.get("ok"):
        why = said.get("error", "unknown") if isinstance(said, dict) else "no JSON object"
        return Finding("slack", Grade.FAIL, f"auth.test: {why}", "correct SLACK_BOT_TOKEN (docs/slack.md)")
    return Finding("slack", Grade.OK, f"{said.get('user', '?')} in {said.get('team', '?')}")


def _port(name: str, host: str, port: int) -> Finding:
    """Whether a process could listen there, or one of ours does."""
    if port == 0:
        return Finding(name, Grade.OK, "any")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding(name, Grade.FAIL, f"{port}: {error.strerror}", "choose another address or port")
        if _is_ours(host, port):
            return Finding(name, Grade.OK, f"{port}: Holdpoint runs there")
        return Finding(name, Grade.FAIL, f"{port} is in use by another program", "choose another port")
    return Finding(name, Grade.OK, f"{port} is free")


def _is_ours(host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{shown}:{port}/metrics", timeout=2) as answer:
            return b"holdpoint_" in answer.read(1_000_000)
    except (OSError, ValueError):
        return False
