"""``passkey invite``: an admin vouches for somebody who has no identity provider to sign in at afresh (docs/step-up.md)."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.answers import Answer, refusal
from holdpoint.linked import address_of
from holdpoint.policy.people import same
from holdpoint.store.passkeys import Invitation

_NOT_ONESELF = "Another admin has to invite you: else whoever got hold of your account or key could make a passkey of theirs yours."


async def _invite(office: Office, call: Call) -> Answer:
    person = address_of(call["person"])
    if not person:
        return refusal("Name the person by their e-mail address.")
    if any(same(person, own) for own in (call.by.principal, *call.by.aliases)):
        return refusal(_NOT_ONESELF)
    token = await office.store.passkeys.invite(Invitation(person, call.by.principal))
    lines = (
        f"Send this to {person}, and to nobody else. Within a day, signed in as {person}, it adds one passkey:",
        f"{office.link_base}/passkeys/{token}",
    )
    return Answer(True, lines)


TABLE: tuple[Command, ...] = (
    command(
        "passkey invite <person>",
        Access.ADMINS,
        "let somebody add one passkey without a fresh sign-in",
        _invite,
        personal=True,
    ),
)
