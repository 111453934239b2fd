"""What an identity provider answers at the end of a sign-in, read; and what goes wrong, in a sentence for the person.

The log says more, and names no token, code or secret. A provider's own words are data: shown on one line, and cut.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from bot.web.oidc_checks import Way
from holdpoint.errors import BadToken, GrantRefused, MissingGroups, ProviderUnavailable, SignInFailed
from holdpoint.visible import visible_line

_ANSWERS = ("state", "code", "error", "error_description", "iss")
_MOST_WORDS = 200

_log = logging.getLogger("bot.web.oidc")


def single(answer: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parameters that mean something. Raises SignInFailed when one stands twice."""
    given = {name: list(answer.get(name, ())) for name in _ANSWERS}
    if any(len(values) > 1 for values in given.values()):
        raise SignInFailed("Your identity provider has sent something that cannot be read. Start again.")
    return {name: values[0] for name, values in given.items() if values}


def check_error(given: Mapping[str, str], way: Way) -> None:
    """Raises SignInFailed for an answer without a code."""
    error = given.get("error")
    if error is None and given.get("code"):
        return
    if error == "access_denied":
        raise SignInFailed("You were not let in by your identity provider, or you stopped the sign-in there.")
    if error in ("temporarily_unavailable", "server_error"):
        raise in_words(ProviderUnavailable("it says so"), way)
    words = visible_line(f"{error or 'no code'}: {given.get('error_description', '')}")[:_MOST_WORDS].rstrip(": ")
    _log.warning("a provider refuses to sign somebody in: %s", words, extra={"issuer": way.issuer.issuer})
    raise SignInFailed(f"Your identity provider answers: {words}. An admin has to look at it.")


def in_words(error: GrantRefused | BadToken | ProviderUnavailable, way: Way) -> SignInFailed:
    """What to tell the person; the log has the rest."""
    match error:
        case ProviderUnavailable():
            what, words, status = "an identity provider cannot be asked", _AWAY, 503
        case GrantRefused(code="invalid_grant"):
            what, words, status = "a code was refused", "Your sign-in has expired. Start again.", 403
        case GrantRefused():
            words = f"Your identity provider refuses Holdpoint ({error.code}). An admin has to look at it."
            what, status = "a code was refused", 403
        case MissingGroups():
            what, words, status = "an id token was refused", TOO_MANY, 403
        case _:
            what, words, status = "an id token was refused", UNACCEPTABLE, 403
    _log.warning("%s: %s", what, error, extra={"issuer": way.issuer.issuer})
    return SignInFailed(words, status=status)


_AWAY = "Your identity provider does not answer at the moment. Try again soon."
TOO_MANY = (
    "You are in more groups than your identity provider puts in a sign-in, so Holdpoint cannot know yours."
    " An admin has to send only the groups that matter here."
)
UNACCEPTABLE = "What your identity provider says of you cannot be accepted. The log of Holdpoint says why."
