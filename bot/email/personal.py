"""People's own places in e-mail: the mailbox whose address is their principal."""

from __future__ import annotations

from bot.email import KIND


class EmailPersonal:
    """A `bot.personal.Personal`."""

    async def whose(self, target: str) -> str:
        """See `bot.personal.Personal.whose`. A team's address is a principal of nobody's who is ever away."""
        return target.removeprefix(f"{KIND}:")

    async def place_of(self, principal: str) -> str:
        """See `bot.personal.Personal.place_of`."""
        return f"{KIND}:{principal}"
