"""A policy file on its way into the store: read, pushed, or kept until a second admin confirms it."""

from __future__ import annotations

import contextlib
import secrets
import sys
from pathlib import Path

from holdpoint.cli.common import operator
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError, Conflict, PolicyError
from holdpoint.policy import check_policy, parse_policy
from holdpoint.standing import Change, ChangeKind
from holdpoint.store import Store, StoredPolicy

_LARGEST_BYTES = 5 * 1024 * 1024


def read_policy(file: str) -> str:
    """The text of a policy file; ``-`` is standard input.

    Raises:
        ConfigurationError: it cannot be read, is no UTF-8, or is far too large.
    """
    try:
        raw = sys.stdin.buffer.read(_LARGEST_BYTES + 1) if file == "-" else Path(file).read_bytes()
        if len(raw) > _LARGEST_BYTES:
            raise ConfigurationError(f"{file}: larger than {_LARGEST_BYTES // 1024 // 1024} MiB")
        return raw.decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: not UTF-8 text") from None


async def push_or_propose(store: Store, text: str, *, expect: int | None, note: str) -> int | Change:
    """Put an already validated text in force, and return its version; or, where the policy in force wants a second
    admin for that, keep it as a change that waits, and return the change.

    Raises:
        Conflict: the version in force is not ``expect``, or it changed meanwhile.
    """
    head = await store.config.policy()
    version = head.version if head else 0
    if expect is not None and expect != version:
        raise Conflict(f"the policy in force is version {version}, not {expect}")
    if head is None or not _wants_second_admin(head):
        return await push_text(store, text, expect=version, note=note)
    change = Change(
        f"c{secrets.token_hex(4)}", ChangeKind.POLICY, operator(), now_ms(), note, expect=version, text=text
    )
    await store.changes.propose(change)
    return change


def _wants_second_admin(stored: StoredPolicy) -> bool:
    """What the policy in force says. One that cannot be read refuses every request, and can be replaced by anybody."""
    try:
        return parse_policy(stored.text).second_admin
    except PolicyError:
        return False


async def push_text(store: Store, text: str, *, expect: int | None, note: str, by: str | None = None) -> int:
    """Put an already validated text in force; returns its version.

    Raises:
        Conflict: the version in force is not ``expect``, or it changed meanwhile.
    """
    if expect is None:
        head = await store.config.policy()
        expect = head.version if head else 0
    return await store.config.push_policy(text, expect=expect, by=by or operator(), note=note)


async def push_initial(store: Store, file: Path | None) -> None:
    """Push ``file`` (HOLDPOINT_POLICY) when Redis has no policy yet; else change nothing.

    Raises:
        PolicyError, ConfigurationError: it cannot be read or does not validate.
    """
    if file is None or await store.config.policy() is not None:
        return
    text = read_policy(str(file))
    check_policy(text, str(file))
    with contextlib.suppress(Conflict):  # another process pushed the first one meanwhile: that one is in force
        await push_text(store, text, expect=0, note=f"from {file.name}", by="HOLDPOINT_POLICY")
