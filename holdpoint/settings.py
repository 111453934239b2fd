"""Every setting of Holdpoint, in one typed class; the only reader of the environment (and of ``.env``).

Each field is ``HOLDPOINT_<NAME>`` unless it names a vendor's own variable. A test holds `.env.example` against this
file. Durations are in the unit that the name ends in.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdpoint.errors import ConfigurationError
from holdpoint.urls import is_of_a_site

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MODE = re.compile(r"[0-7]{3}")
_TEAM = re.compile(r"[TE][A-Z0-9]{1,63}")

_Seconds = Annotated[float, Field(le=10 * 366 * 86400)]  # ten years; Redis cannot count any number of milliseconds


class Settings(BaseSettings):
    """What the processes are started with. What changes while they run is in the policy (`holdpoint.live`)."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDPOINT_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    redis_url: str = Field("", description="redis://, rediss:// or unix:// URL; empty: the embedded server")
    redis_fsync: str = Field("always", description="embedded server only: 'always' loses nothing, 'everysec' is faster")
    data: Path = Field(Path("data"), description="folder of the embedded Redis, the SQLite ledger and demo.json")
    ledger_url: str = Field("", description="SQLAlchemy URL of the ledger; empty: SQLite in the data folder")
    policy: Path | None = Field(None, description="policy file to push at start when Redis has none")

    gateway_host: str = Field("127.0.0.1", description="address that the gateway listens on")
    gateway_port: int = Field(8080, ge=0, le=65535, description="port of the gateway")
    gateway_socket: Path | None = Field(None, description="Unix socket of the gateway, instead of address and port")
    gateway_socket_mode: str = Field("660", description="permissions of that socket's file, in octal")
    gateway_workers: int = Field(1, ge=1, le=256, description="gateway processes that share the address")
    gateway_connections: int = Field(20_000, gt=0, description="clients connected to one gateway process at most")
    bot_host: str = Field("127.0.0.1", description="address that the bot listens on")
    bot_port: int = Field(8081, ge=0, le=65535, description="port of the bot: web inbox, review API, Slack callbacks")
    gateway_tls_cert: Path | None = Field(None, description="PEM file of the gateway's certificate; turns TLS on")
    gateway_tls_key: Path | None = Field(None, description="PEM file of its key, not encrypted")
    gateway_tls_client_ca: Path | None = Field(
        None, description="PEM file of who signs clients' certificates; requires one"
    )
    upstream_ca: Path | None = Field(
        None, description="PEM file of who signs models' certificates; empty: the system's"
    )
    upstream_cert: Path | None = Field(None, description="PEM file of the certificate that models are shown")
    upstream_key: Path | None = Field(None, description="PEM file of its key, not encrypted")

    trusted_proxies: str = Field("", description="networks whose word about clients counts, by commas; also 'unix:'")
    forwarded_header: str = Field("x-forwarded-for", description="the header that they write: this, or 'forwarded'")
    proxy_protocol: bool = Field(False, description="they begin every connection with a PROXY preamble (v1 or v2)")

    public_url: str = Field("", description="how people reach the bot, for links; empty: http://bot_host:bot_port")

    max_body_bytes: int = Field(10 * 1024 * 1024, gt=0, description="largest request body")
    body_timeout_s: _Seconds = Field(30, gt=0, description="longest wait for the next piece of a request body")
    heartbeat_after_s: _Seconds = Field(10, ge=0, description="grace before a held stream gets heartbeats; 0: never")
    heartbeat_every_s: _Seconds = Field(10, gt=0, description="pause between heartbeats")
    abandon_grace_s: _Seconds = Field(120, ge=0, description="how long a hold whose client left waits for its return")
    collect_within_s: _Seconds = Field(3600, gt=0, description="how long an approval may stay uncollected")
    retention_s: _Seconds = Field(
        7 * 86400, gt=0, description="how long Redis keeps a closed hold (the ledger keeps all)"
    )
    upstream_connect_timeout_s: _Seconds = Field(5, gt=0, description="longest wait for a connection to a model")
    upstream_read_timeout_s: _Seconds = Field(300, gt=0, description="longest silence of a model")
    write_timeout_s: _Seconds = Field(60, gt=0, description="longest time that a client may refuse to read")
    record_response_bytes: int = Field(1024 * 1024, ge=0, description="most of a response that is kept and recorded")
    drain_s: _Seconds = Field(10, ge=0, description="how long a stopping gateway waits for running answers")

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", description="json, or text for a terminal")
    access_log: bool = Field(False, description="a line in the gateway's log for every request")

    key: SecretStr | None = Field(None, description="Holdpoint key for `holdpoint holds …`")

    login_issuer: str = Field("", description="identity provider at which `holdpoint login` gets tokens")
    login_client_id: str = Field("", description="as which client it asks there; the policy names it as an audience")
    login_client_secret: SecretStr | None = Field(
        None, description="only where a provider gives programs on people's machines one, as Google does"
    )

    secret_key: SecretStr | None = Field(
        None, description="locks other workspaces' tokens: openssl rand -base64 32; an earlier one behind a comma"
    )

    slack_bot_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SLACK_BOT_TOKEN"), description="xoxb-…; turns Slack on"
    )
    slack_signing_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SLACK_SIGNING_SECRET"), description="for callbacks over HTTP"
    )
    slack_app_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SLACK_APP_TOKEN"), description="xapp-…; turns Socket Mode on"
    )
    slack_client_id: str = Field(
        "", validation_alias=AliasChoices("SLACK_CLIENT_ID"), description="turns installation in other workspaces on"
    )
    slack_client_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SLACK_CLIENT_SECRET"), description="belongs to SLACK_CLIENT_ID"
    )
    slack_trusted_teams: str = Field(
        "", validation_alias=AliasChoices("SLACK_TRUSTED_TEAMS"),
        description="ids of other workspaces (T…) and organisations (E…) whose people count, separated by commas",
    )  # fmt: skip
    teams_app_id: str = Field(
        "", validation_alias=AliasChoices("MicrosoftAppId"), description="id of the Azure bot; turns Teams on"
    )
    teams_app_password: SecretStr | None = Field(
        None, validation_alias=AliasChoices("MicrosoftAppPassword"), description="a client secret of that app"
    )
    teams_app_type: str = Field(
        "SingleTenant", validation_alias=AliasChoices("MicrosoftAppType"), description="SingleTenant or MultiTenant"
    )
    teams_tenant_id: str = Field(
        "",
        validation_alias=AliasChoices("MicrosoftAppTenantId"),
        description="id of the tenant of the people who decide",
    )
    teams_openid_url: str = Field(
        "https://login.botframework.com/v1/.well-known/openidconfiguration",
        validation_alias=AliasChoices("ToBotFromChannelOpenIdMetadataUrl"),
        description="where the keys that sign Teams' callbacks are announced; other clouds have their own",
    )
    teams_token_issuer: str = Field(
        "https://api.botframework.com", validation_alias=AliasChoices("ToBotFromChannelTokenIssuer"),
        description="who signs Teams' callbacks",
    )  # fmt: skip
    teams_login_url: str = Field(
        "https://login.microsoftonline.com", validation_alias=AliasChoices("ToChannelFromBotLoginUrl"),
        description="where the bot gets its own tokens, without the tenant",
    )  # fmt: skip
    teams_oauth_scope: str = Field(
        "https://api.botframework.com", validation_alias=AliasChoices("ToChannelFromBotOAuthScope"),
        description="what these tokens are for",
    )  # fmt: skip
    teams_graph_url: str = Field(
        "", validation_alias=AliasChoices("TEAMS_GRAPH_URL"),
        description="https://graph.microsoft.com, to know the members of groups with entra_group; empty: not asked",
    )  # fmt: skip

    smtp_url: SecretStr | None = Field(
        None, description="smtp://user:password@host:587 (STARTTLS) or smtps://…:465; turns e-mail on"
    )
    email_from: str = Field("", description="the address that e-mail comes from: Holdpoint <holdpoint@example.com>")

    slack_api_url: str = Field(
        "https://slack.com/api/", validation_alias=AliasChoices("SLACK_API_URL"), description="Slack's Web API"
    )

    @field_validator("gateway_host", "bot_host")
    @classmethod
    def _host(cls, value: str) -> str:
        try:
            value.encode("idna")  # as whoever listens there will
        except UnicodeError:
            raise ValueError("must be an address, or the name of a host") from None
        return value

    @field_validator("redis_fsync")
    @classmethod
    def _fsync(cls, value: str) -> str:
        if value not in ("always", "everysec"):
            raise ValueError("must be 'always' or 'everysec'")
        return value

    @field_validator("teams_app_id", "teams_tenant_id")
    @classmethod
    def _guid(cls, value: str) -> str:
        if value and not _GUID.fullmatch(value):
            raise ValueError("must be an id such as 11111111-2222-3333-4444-555555555555")
        return value.lower()

    @field_validator("teams_app_type")
    @classmethod
    def _app_type(cls, value: str) -> str:
        if value not in ("SingleTenant", "MultiTenant"):
            raise ValueError(
                "must be SingleTenant or MultiTenant (a managed identity has no password, and is not supported)"
            )
        return value

    @field_validator("gateway_socket_mode")
    @classmethod
    def _mode(cls, value: str) -> str:
        if not _MODE.fullmatch(value):
            raise ValueError("must be three octal digits such as 660")
        return value

    @field_validator("forwarded_header")
    @classmethod
    def _forwarded(cls, value: str) -> str:
        if value.lower() not in ("x-forwarded-for", "forwarded"):
            raise ValueError("must be 'x-forwarded-for' or 'forwarded'")
        return value.lower()

    @field_validator("public_url")
    @classmethod
    def _site(cls, value: str) -> str:
        if value and not is_of_a_site(value):
            raise ValueError("must be a URL such as https://holdpoint.example.com")
        return value

    @field_validator("slack_trusted_teams")
    @classmethod
    def _teams(cls, value: str) -> str:
        if any(not _TEAM.fullmatch(part) for part in _listed(value)):
            raise ValueError("must be ids such as T0123ABCD or E0123ABCD, separated by commas")
        return value

    @property
    def trusted_teams(self) -> frozenset[str]:
        """The workspaces and organisations in which the app may be installed besides the home workspace."""
        return frozenset(_listed(self.slack_trusted_teams))

    @property
    def slack_is_on(self) -> bool:
        """Whether there is a token for a home workspace, or a way to be installed in others."""
        return self.slack_bot_token is not None or bool(self.slack_client_id)

    @property
    def teams_is_on(self) -> bool:
        """Whether there is an Azure bot to be."""
        return bool(self.teams_app_id)

    @property
    def email_is_on(self) -> bool:
        """Whether there is a server to send e-mail by."""
        return self.smtp_url is not None

    @property
    def link_base(self) -> str:
        """The URL in front of ``/review``, without a slash at the end."""
        host = f"[{self.bot_host}]" if ":" in self.bot_host else self.bot_host
        return (self.public_url or f"http://{host}:{self.bot_port}").rstrip("/")

    @property
    def ledger(self) -> str:
        """The SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.data / 'ledger.sqlite3'}"


def load_settings(**overrides: object) -> Settings:
    """The settings from the environment, with ``overrides`` on top.

    Raises:
        ConfigurationError: one line per wrong variable, naming it; never its value, which may be a secret. Or `.env`
            cannot be read.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks what it is given
    except ValidationError as error:
        raise ConfigurationError("\n".join(_line(e["loc"], e["msg"]) for e in error.errors())) from None
    except UnicodeDecodeError:
        raise ConfigurationError(".env: not UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f".env: {error.strerror}") from None


def resolve_credential(reference: str) -> SecretStr | None:
    """The secret behind a connection's ``env:NAME``, from the environment or ``.env``; None when it is missing there."""
    name = reference.removeprefix("env:")
    value = os.environ.get(name) or _dotenv().get(name)
    return SecretStr(value) if value else None


@lru_cache(maxsize=1)
def _dotenv() -> dict[str, str | None]:
    return dotenv_values(".env")


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _line(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "settings"
    variable = f"HOLDPOINT_{name.upper()}" if name.islower() else name  # a vendor's own has capitals
    return f"{variable}: {message.removeprefix('Value error, ')}"
