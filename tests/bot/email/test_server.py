"""The settings of e-mail: what is meant by them, and one line for everything that is wrong, without its value."""

from __future__ import annotations

import pytest

from bot.email.server import Security, mail_server
from holdpoint.errors import ConfigurationError
from holdpoint.settings import Settings

FROM = "Holdpoint <holdpoint@corp.test>"


def settings(url: str | None, sender: str = FROM) -> Settings:
    return Settings(_env_file=None, smtp_url=url, email_from=sender)


@pytest.mark.parametrize(
    ("url", "host", "port", "security", "user", "password"),
    [
        ("smtp://mail.test", "mail.test", 587, Security.STARTTLS, "", None),
        ("smtp://u:p@mail.test:2525/", "mail.test", 2525, Security.STARTTLS, "u", "p"),
        ("smtps://u:p@mail.test", "mail.test", 465, Security.TLS, "u", "p"),
        ("smtps://bot%40corp.test:p%3A%2F%20%C3%A9@mail.test:4465", "mail.test", 4465, Security.TLS, "bot@corp.test", "p:/ é"),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Security.NONE, "", None),
        ("smtp://u:p@localhost:1025?starttls=never", "localhost", 1025, Security.NONE, "u", "p"),
        ("smtp://u:p@[::1]:1025", "::1", 1025, Security.NONE, "u", "p"),
        ("smtps://[2001:db8::1]", "2001:db8::1", 465, Security.TLS, "", None),
    ],
)  # fmt: skip
def test_what_a_url_means(
    url: str, host: str, port: int, security: Security, user: str, password: str | None
) -> None:  # fmt: skip
    server = mail_server(settings(url))
    assert (server.host, server.port, server.security, server.user) == (host, port, security, user)
    assert (server.password.get_secret_value() if server.password else None) == password


@pytest.mark.parametrize(
    "url",
    [
        "mail.test", "http://mail.test", "smtp://", "smtp://:25", "smtp://mail.test:99999", "smtp://mail.test:0",
        "smtp://mail.test:x", "smtp://mail.test/path", "smtp://mail.test#x", "smtp://mail.test?x=y",
        "smtp://mail.test?starttls=never", "smtp://hunter2:hunter2@mail.test?starttls=never",
        "smtps://localhost?starttls=never", "smtp://hunter2@mail.test", "smtp://:hunter2@mail.test",
        "smtp://u:hunter2%0d%0aMAIL@mail.test", "smtp://u:hunter2%ff@mail.test", "smtp://[::1", "smtp://a b", "smtp://-x-",
        "smtp://mail.test,other.test", "smtp://mail..test", "smtp://127.0.0.1.evil.test?starttls=never",
    ],
)  # fmt: skip
def test_a_wrong_url_is_one_line_that_names_the_variable_and_not_its_value(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mail_server(settings(url))
    said = str(caught.value)
    assert said.startswith("HOLDPOINT_SMTP_URL: ")
    assert "\n" not in said
    assert "hunter2" not in said
    assert "mail.test" not in said


def test_without_a_url_there_is_no_server() -> None:
    with pytest.raises(ConfigurationError, match="HOLDPOINT_SMTP_URL: not set"):
        mail_server(settings(None))


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        (FROM, "Holdpoint", "holdpoint@corp.test"),
        ("holdpoint@corp.test", "", "holdpoint@corp.test"),
        ("<holdpoint@Corp.Test>", "", "holdpoint@corp.test"),
        ('"Hold point" <h@corp.test>', "Hold point", "h@corp.test"),
        ("Prüfstelle <h@bücher.test>", "Prüfstelle", "h@xn--bcher-kva.test"),
    ],
)
def test_who_mail_comes_from(sender: str, name: str, address: str) -> None:
    server = mail_server(settings("smtp://mail.test", sender))
    assert (server.name, server.sender, server.domain) == (name, address, address.partition("@")[2])


@pytest.mark.parametrize(
    "sender",
    [
        "", "  ", "Holdpoint", "a@corp.test, b@corp.test", "a@corp.test b@corp.test", "Holdpoint <>",
        "Holdpoint <a@corp.test>\r\nBcc: eve@evil.test", "A\x00 <a@corp.test>", "a@", "@corp.test", "a@b@corp.test",
        "(x) <a@corp.test>", "Holdpoint <a@corp.test> x",
    ],
)  # fmt: skip
def test_a_wrong_sender_is_one_line_that_names_the_variable(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="HOLDPOINT_EMAIL_FROM: ") as caught:
        mail_server(settings("smtp://mail.test", sender))
    assert "\n" not in str(caught.value)
    assert "evil" not in str(caught.value)
