"""What every command needs: settings, an opened store, and output for people or (``--json``) for programs."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import orjson

from holdpoint import logs
from holdpoint.clock import now_ms
from holdpoint.embedded import attach_or_start
from holdpoint.errors import HoldpointError
from holdpoint.settings import Settings, load_settings
from holdpoint.store import Store
from holdpoint.visible import visible, visible_line

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Refused(HoldpointError):
    """The answer is no; ``str()`` says why. Exit code 1."""


def json_option(command: F) -> F:
    """``--json``: print what a program can read."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def settings_with_logs(**overrides: object) -> Settings:
    """The settings, with the logs set up as they say.

    Raises:
        ConfigurationError: one of them is wrong.
    """
    settings = load_settings(**overrides)
    logs.configure(settings.log_level, settings.log_format)
    return settings


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of the settings: the Redis they name, or the embedded one, started for the duration if need be.

    Raises:
        ConfigurationError, StoreUnavailable: there is no Redis to be had.
    """
    async with AsyncExitStack() as stack:
        if not settings.redis_url:
            redis = await asyncio.to_thread(attach_or_start, settings.data, settings.redis_fsync)
            settings = settings.model_copy(update={"redis_url": stack.enter_context(redis).url})
        store = await Store.from_settings(settings, clock=now_ms)
        stack.push_async_callback(store.aclose)
        yield store


def with_store(work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    """Run one piece of work against the store of the environment's settings."""
    settings = settings_with_logs()

    async def run() -> T:
        async with opened_store(settings) as store:
            return await work(store)

    return asyncio.run(run())


def operator() -> str:
    """Who runs this command, for the record: the user of the operating system."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user without a name
        return "cli"


def print_json(value: object) -> None:
    """``value`` (dataclasses and sets included) as indented JSON."""
    click.echo(orjson.dumps(value, default=_jsonable, option=orjson.OPT_INDENT_2).decode())


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns for people; every cell on one line, hidden characters visible."""
    lines = [list(headings), *([visible_line(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_text(text: str) -> None:
    """Text from elsewhere, over several lines, hidden characters visible."""
    click.echo(visible(text))


def moment(ms: int | None) -> str:
    """``2026-01-02 03:04:05Z``, or a dash."""
    if ms is None:
        return "-"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _jsonable(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value).__name__)
