"""Structured logs on stderr: one JSON object per line, or one readable line for a terminal.

::

    _log = logging.getLogger(__name__)
    _log.info("hold released", extra={"hold": hold.id, "request": request_id})
    → {"time": "2026-01-02T03:04:05.678Z", "level": "INFO", "logger": "gateway.decided", "message": "hold released", "hold": …}

Never content, never a secret (promise 8): values lose whatever looks like a credential, hidden characters are made
visible (promise 7), lines are bounded. Of an exception there is the type and the stack; its message only when Holdpoint
or the operating system wrote it, because messages of libraries quote what they were given.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import IO, Any

import orjson

from holdpoint.clock import iso
from holdpoint.errors import ConfigurationError, HoldpointError
from holdpoint.visible import visible_line

_OURS = ("holdpoint", "gateway", "bot")
_LONGEST_VALUE = 2000
_SECRET = re.compile(
    r"""
    \b(?:xox[a-z]|xapp|xwfp)[-.][\w.-]+                 # Slack tokens
  | \bhp_[A-Za-z0-9]+(?:_[A-Za-z0-9_-]*)?               # Holdpoint keys
  | \bsk-[\w-]{8,}                                      # the usual form of providers' keys
  | (?i:\b(?:bearer|basic)\s+)[\w.~+/=-]+               # Authorization headers
  | \beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?                    # JSON web tokens
  | (?<=://)[^\s/@]*:[^\s/@]*(?=@)                      # user:password of a URL
  | \bv0=[0-9a-f]{16,}                                  # Slack signatures
    """,
    re.VERBOSE,
)
# What a LogRecord carries anyway; everything else in it came through `extra`.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """``text`` without anything that looks like a token, a key or a password."""
    return _SECRET.sub("[redacted]", text)


def configure(level: str = "INFO", form: str = "json", *, stream: IO[str] | None = None) -> None:
    """Send all logs of this process to ``stream`` (stderr). ``form`` is ``json`` or ``text``.

    ``level`` is for Holdpoint's own loggers. Libraries log from WARNING on, whatever it says: at DEBUG some of them
    print bodies and tokens.

    Raises:
        ConfigurationError: an unknown level or form.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError("HOLDPOINT_LOG_LEVEL: must be DEBUG, INFO, WARNING or ERROR")
    if form not in ("json", "text"):
        raise ConfigurationError("HOLDPOINT_LOG_FORMAT: must be 'json' or 'text'")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(_without_signatures)
    logging.root.handlers = [handler]
    logging.root.setLevel(max(number, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _safe(record.getMessage()),
        }
        entry.update(_extra(record))
        if record.exc_info and record.exc_info[1]:
            entry["error"] = [_chained(error) for error in _chain(record.exc_info[1])]
        return orjson.dumps(entry).decode()


class TextFormatter(logging.Formatter):
    """One line for people, and the stack below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {name}={value}" for name, value in _extra(record).items())
        line = f"{_time(record)[11:23]} {record.levelname:<7} {record.name}: {_safe(record.getMessage())}{fields}"
        if record.exc_info and record.exc_info[1]:
            for error in _chain(record.exc_info[1]):
                about = _chained(error)
                line += f"\n  {about['type']}{': ' if 'message' in about else ''}{about.get('message', '')}"
                line += "".join(f"\n    {frame}" for frame in about["stack"])
        return line


def _without_signatures(record: logging.LogRecord) -> bool:
    """Bolt's RequestVerification prints the signatures that it compares at INFO, and resets its own level."""
    return not (record.name.endswith("RequestVerification") and record.levelno <= logging.INFO)


def _time(record: logging.LogRecord) -> str:
    return iso(int(record.created * 1000))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {
        visible_line(name): value if isinstance(value, bool | int | float | None) else _safe(str(value))
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _safe(text: str) -> str:
    text = redact(text[: 2 * _LONGEST_VALUE])
    return visible_line(text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it, outermost first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return chain


def _chained(error: BaseException) -> dict[str, Any]:
    """Type and stack (``file:line function``, without source lines and values); the message where it is safe."""
    about: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, HoldpointError | OSError):
        about["message"] = _safe(str(error))
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    about["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return about
