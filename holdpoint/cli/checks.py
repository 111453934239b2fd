"""The checks of `holdpoint doctor` that need no platform: Redis and what is in it, the ledger, the ports."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from holdpoint import key_life
from holdpoint.cli.common import opened_store
from holdpoint.clock import now_ms
from holdpoint.embedded import OLDEST
from holdpoint.errors import ConfigurationError, LedgerError, PolicyError, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.ledger.sql import Ledger
from holdpoint.policy import check_policy
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import Store

_SKEW_WARN_MS = 1_000
_SKEW_FAIL_MS = 30_000


async def stored(settings: Settings) -> AsyncIterator[Finding]:
    """Everything that is in Redis, and Redis itself."""
    where = "the server that HOLDPOINT_REDIS_URL names" if settings.redis_url else "the embedded server"
    try:
        async with opened_store(settings) as store:
            for finding in _server(await store.information(), where):
                yield finding
            yield await _policy(store)
            yield await _credentials(store)
            for finding in key_life.findings(await store.config.keys(), await store.key_use.all(), now_ms()):
                yield finding
    except (ConfigurationError, StoreUnavailable) as error:
        yield Finding("redis", Grade.FAIL, str(error), f"start {where}, or correct HOLDPOINT_REDIS_URL")


def _server(said: dict[str, str], where: str) -> Iterator[Finding]:
    version = said.get("redis_version", "0")
    known = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if known >= OLDEST:
        yield Finding("redis", Grade.OK, f"{where} answers, version {version}")
    else:
        yield Finding("redis", Grade.FAIL, f"version {version}", "Holdpoint needs Redis 6.2 or newer, or Valkey")
    yield from _writes(said)
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


def _writes(said: dict[str, str]) -> Iterator[Finding]:
    """Why the server refuses what is to be written, if it does."""
    if said.get("role") == "slave" and said.get("slave_read_only") != "0":
        advice = "name the primary in HOLDPOINT_REDIS_URL: every request is refused"
        yield Finding("role", Grade.FAIL, "a replica, which is read-only", advice)
    most, used = (int(said.get(name, "0")) for name in ("maxmemory", "used_memory"))
    if 0 < most <= used:
        advice = "give it more memory (`maxmemory`): every request is refused"
        yield Finding("memory", Grade.FAIL, f"full: {used:,} of {most:,} bytes", advice)


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


def ledger(settings: Settings) -> Finding:
    try:
        opened = Ledger.open(settings.ledger, upgrade=False)
        try:
            records = opened.head().seq
        finally:
            opened.close()
    except (ConfigurationError, LedgerError) as error:
        return Finding("ledger", Grade.FAIL, str(error), "correct HOLDPOINT_LEDGER_URL, or the database's rights")
    return Finding("ledger", Grade.OK, f"{records} records")


def port(name: str, host: str, number: int, *, certificate: Path | None = None) -> Finding:
    """Whether a process could listen there, or one of ours does: with TLS, one that shows ``certificate``."""
    if number == 0:
        return Finding(name, Grade.OK, "any")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, number), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding(name, Grade.FAIL, f"{number}: {error.strerror}", "choose another address or port")
        if _is_ours(host, number) if certificate is None else _shows(host, number, certificate):
            return Finding(name, Grade.OK, f"{number}: Holdpoint runs there")
        return Finding(name, Grade.FAIL, f"{number} is in use by another program", "choose another port")
    return Finding(name, Grade.OK, f"{number} is free")


def _is_ours(host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{shown}:{port}/metrics", timeout=2) as answer:
            return b"holdpoint_" in answer.read(1_000_000)
    except (OSError, ValueError, http.client.HTTPException):  # nothing there, or what answers speaks no HTTP
        return False


def _shows(host: str, port: int, certificate: Path) -> bool:
    """Whether what listens there has this certificate; it is shown before one of ours is asked for."""
    try:
        shown = ssl.get_server_certificate((host, port), timeout=2)
        return "".join(shown.split()) in "".join(certificate.read_text().split())
    except (OSError, ValueError):
        return False
