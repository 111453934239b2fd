from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import orjson
import pytest

from holdpoint import logs
from holdpoint.errors import ConfigurationError, StoreUnavailable


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the logs go; pytest's own handlers are put back afterwards."""
    root, handlers, level = logging.root, logging.root.handlers, logging.root.level
    ours = {name: logging.getLogger(name).level for name in ("holdpoint", "gateway", "bot")}
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    for name, former in ours.items():
        logging.getLogger(name).setLevel(former)
    logging.captureWarnings(capture=False)


def test_a_line_is_one_json_object_with_the_extra_fields(stream: io.StringIO) -> None:
    logs.configure("INFO", "json", stream=stream)
    logging.getLogger("gateway.wait").info("hold released", extra={"hold": "h1", "request": "r1", "after_ms": 12})
    entry = orjson.loads(stream.getvalue())
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "INFO", "logger": "gateway.wait", "message": "hold released", "hold": "h1", "request": "r1", "after_ms": 12,
    }  # fmt: skip


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-123456789012-abcdefGHIJ",
        "xapp-1-A111-222-abcdef",
        "hp_abcd1234_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef012345",
        "Bearer abc.def-ghi",
        "authorization: bearer s3cr3t",
        "Basic dXNlcjpwYXNz",
        "sk-proj-abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "redis://user:hunter22@host:6379/0",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    ],
)
@pytest.mark.parametrize("form", ["json", "text"])
def test_what_looks_like_a_secret_is_in_no_line(secret: str, form: str, stream: io.StringIO) -> None:
    logs.configure("INFO", form, stream=stream)
    log = logging.getLogger("holdpoint.test")
    try:
        raise OSError(f"refused: {secret}")
    except OSError:
        log.exception("with %s", secret, extra={"header": f"x {secret} y"})
    for part in secret.replace("@host:6379/0", "").split()[-1].split("://")[-1].split("."):
        assert part not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


@pytest.mark.promise(7)
@pytest.mark.parametrize("form", ["json", "text"])
def test_hidden_characters_are_visible_and_a_value_cannot_start_a_line(form: str, stream: io.StringIO) -> None:
    logs.configure("INFO", form, stream=stream)
    logging.getLogger("bot.test").warning("a\x1b[2Jb", extra={"name_of_user": "x\n2026 INFO forged \u202e"})
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "\\u001b" not in line
    assert "⟨U+001B⟩" in line
    assert "⟨U+000A⟩2026 INFO forged ⟨U+202E⟩" in line


@pytest.mark.promise(8)
def test_an_error_is_its_type_and_stack_and_only_our_messages(stream: io.StringIO) -> None:
    logs.configure("INFO", "json", stream=stream)
    prompt = "the prompt of somebody"
    try:
        try:
            raise ValueError(prompt)
        except ValueError as error:
            raise StoreUnavailable("Redis: timeout") from error
    except StoreUnavailable:
        logging.getLogger("gateway.test").exception("refused")
    assert prompt not in stream.getvalue()
    outer, inner = orjson.loads(stream.getvalue())["error"]
    assert (outer["type"], outer["message"]) == ("holdpoint.errors.StoreUnavailable", "Redis: timeout")
    assert inner["type"] == "builtins.ValueError"
    assert "message" not in inner
    assert "test_logs.py" in inner["stack"][0]


@pytest.mark.promise(8)
def test_libraries_log_warnings_only_and_bolt_never_its_signatures(stream: io.StringIO) -> None:
    logs.configure("DEBUG", "json", stream=stream)
    logging.getLogger("slack_sdk.web").info("body")
    bolt = logging.getLogger("slack_bolt.AsyncRequestVerification")
    bolt.setLevel(logging.DEBUG)  # as bolt itself does
    bolt.info("signature")
    assert stream.getvalue() == ""
    logging.getLogger("slack_sdk.web").warning("slow")
    logging.getLogger("holdpoint.store").debug("seen")
    assert stream.getvalue().count("\n") == 2


def test_values_are_bounded(stream: io.StringIO) -> None:
    logs.configure("INFO", "json", stream=stream)
    logging.getLogger("bot").warning("%s", "a" * 100_000)
    assert len(stream.getvalue()) < 3000


@pytest.mark.parametrize(
    ("level", "form", "message"), [("loud", "json", "HOLDPOINT_LOG_LEVEL"), ("INFO", "xml", "HOLDPOINT_LOG_FORMAT")]
)
def test_a_wrong_setting_is_named(level: str, form: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        logs.configure(level, form)
