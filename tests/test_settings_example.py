"""`.env.example` and the settings say the same; whoever adds a setting learns here that it needs its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from holdpoint.errors import ConfigurationError
from holdpoint.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / ".env.example"


def variables() -> dict[str, tuple[str, str]]:
    """variable → (default as text, line of help)."""
    found = {}
    for name, field in Settings.model_fields.items():
        alias = getattr(field.validation_alias, "choices", None)
        default = "" if field.default is None else str(field.default)
        found[alias[0] if alias else f"HOLDPOINT_{name.upper()}"] = (default, field.description or "")
    return found


def test_the_example_has_every_setting_with_its_default() -> None:
    assert dotenv_values(EXAMPLE) == {name: default for name, (default, _) in variables().items()}


def test_every_line_of_the_example_has_its_help_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for name, (default, help_text) in variables().items():
        assert help_text, name
        assert lines[lines.index(f"{name}={default}") - 1] == f"# {help_text}"


def test_the_example_itself_is_a_valid_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    Path(".env").write_text(EXAMPLE.read_text())
    from_example = load_settings()
    Path(".env").unlink()
    assert from_example == load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HOLDPOINT_GATEWAY_PORT", "eighty", "HOLDPOINT_GATEWAY_PORT: "),
        ("HOLDPOINT_GATEWAY_PORT", "70000", "HOLDPOINT_GATEWAY_PORT: "),
        ("HOLDPOINT_REDIS_FSYNC", "never", "HOLDPOINT_REDIS_FSYNC: must be 'always' or 'everysec'"),
        ("HOLDPOINT_MAX_BODY_BYTES", "0", "HOLDPOINT_MAX_BODY_BYTES: "),
        ("HOLDPOINT_GATEWAY_HOST", "holdpoint..example", "HOLDPOINT_GATEWAY_HOST: must be an address"),
        ("HOLDPOINT_BOT_HOST", "x" * 64, "HOLDPOINT_BOT_HOST: must be an address"),
        ("HOLDPOINT_PUBLIC_URL", "hp.example.com", "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ("HOLDPOINT_PUBLIC_URL", "localhost:8081", "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ("HOLDPOINT_PUBLIC_URL", "https://", "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ("HOLDPOINT_PUBLIC_URL", "https://[::1", "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ("HOLDPOINT_PUBLIC_URL", "https://hp.example.com:x", "HOLDPOINT_PUBLIC_URL: must be a URL"),
        ("HOLDPOINT_RETENTION_S", "inf", "HOLDPOINT_RETENTION_S: "),
        ("HOLDPOINT_RETENTION_S", "1e30", "HOLDPOINT_RETENTION_S: "),
        ("HOLDPOINT_DRAIN_S", "inf", "HOLDPOINT_DRAIN_S: "),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    variable: str, value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_empty_variable_is_the_same_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    monkeypatch.setenv("HOLDPOINT_POLICY", "")
    settings = load_settings()
    assert settings.slack_bot_token is None
    assert settings.policy is None


def test_an_env_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"HOLDPOINT_KEY=caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"^\.env: not UTF-8 text$"):
        load_settings()
    Path(".env").unlink()
    Path(".env").symlink_to("/proc/self/mem")  # opens, and cannot be read, by root neither
    with pytest.raises(ConfigurationError, match=r"^\.env: "):
        load_settings()


@pytest.mark.parametrize(
    ("host", "base"), [("::1", "http://[::1]:8081"), ("::", "http://[::]:8081"), ("localhost", "http://localhost:8081")]
)
def test_links_lead_to_the_address_that_the_bot_listens_on(
    host: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDPOINT_BOT_HOST", host)
    assert load_settings().link_base == base
