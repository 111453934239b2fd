"""What goes wrong from a test's wish, wrong tokens, clocks; and what the fake counted."""

from __future__ import annotations

from typing import Any

from tests.fakes.teams.arranging import Arranging, Call
from tests.fakes.teams.seen import Answer
from tests.fakes.teams.things import Json
from tests.support.waiting import wait_until


class Mishaps(Arranging):
    # what goes wrong

    async def fail(self, operation: str, kind: str = "error", **described: Any) -> None:
        """The next call of ``operation`` ("*": any) meets a fault; see faults.Fault for kinds and fields.

        Operations: create, post, reply, update, delete, member, members, pagedmembers, channels; openid, keys, tenant, token, graph.
        ``fail("post", status=412, code="PreconditionFailed")``, ``fail("post", "reset", committed=True)``,
        ``fail("update", status=429, code="Throttled", retry_after="2", times=2)``, ``fail("post", "gate", name="g")``.
        """
        if "conversation" in described:
            described["conversation"] = self._id(described["conversation"])
        await self.call("fault", operation=operation, kind=kind, **described)

    async def heal(self) -> None:
        """No more faults; every gate is open."""
        await self.call("clear_faults")

    async def open_gate(self, name: str) -> None:
        await self.call("open_gate", name=name)

    async def waits_at(self, name: str, count: int = 1) -> None:
        """Until so many calls wait at the gate."""

        async def arrived() -> bool:
            return int(await self.call("at_gate", name=name)) >= count

        await wait_until(arrived, f"{count} calls wait at the gate {name}")  # type: ignore[arg-type]  # T is not found

    async def advance(self, seconds: float) -> None:
        """The connector's and the login's clock (rates, the bot's tokens); not that of the tokens towards the bot."""
        await self.call("advance", seconds=seconds)

    async def set(self, **settings: Any) -> None:
        """``channel_bytes, chat_bytes`` (413 above), ``rates`` (False: no 429), ``copies`` (every activity so often),
        ``invoke_s`` (5), ``old_rosters``, ``least_page``, ``secret``, ``token_life_s``, ``registered``, ``tenants``,
        ``graph_allowed``, ``speed`` (of the clock that `advance` moves; 0: it stands).
        """
        await self.call("set", **settings)

    # keys and tokens

    async def rotate(self, *, publish: bool = True, keep: bool = True) -> str:
        """Sign with a new key; its kid. ``publish`` False: not announced before `publish`."""
        kid: str = await self.call("rotate", publish=publish, keep=keep)
        return kid

    async def publish(self) -> None:
        """Announce every key."""
        await self.call("publish")

    async def revoke(self, token: str) -> None:
        """The connector does not take this token of the bot's any more."""
        await self.call("revoke_tokens", token=token)

    # activities by hand

    async def activity(self, kind: str, person: str = "kim", place: str = "security") -> Json:
        """The head of a real activity, to be changed and delivered."""
        activity: Json = await self.call("activity", kind=kind, person=person, conversation=self._id(place))
        return activity

    async def deliver(self, activity: Json, *, token: str = "", attempts: int = 1) -> Answer:
        """Deliver it as it is. ``token``: a name of wrong_tokens.WRONG or RIGHT; "": the usual right one."""
        answers = await self.answers("deliver", activity=activity, token=token, attempts=attempts)
        return answers[0]

    async def raw(self, body: bytes, *, content_type: str = "application/json") -> tuple[int, Any]:
        """Deliver any bytes, with a right token for the usual service URL."""
        found = await self.call(
            "raw", body=body.decode("latin-1"), content_type=content_type, service_url=self.service_url
        )
        return found["status"], found["body"]

    async def sent(self) -> list[Json]:
        """Every activity that was delivered, in order; those that were repeated once."""
        sent: list[Json] = await self.call("sent")
        return sent

    # what was counted

    async def calls(self, *operations: str, place: str = "") -> list[Call]:
        """The bot's calls to the connector, of these operations (none given: all), about a place if given."""
        found = [Call(**each) for each in await self.call("calls")]
        wanted = self._id(place) if place else ""
        return [c for c in found if c.operation in (operations or (c.operation,)) and wanted in {"", c.conversation}]

    async def count(self, what: str) -> int:
        """Of ``openid``, ``keys``, ``token`` (fetches), ``overlaps`` (writes of one conversation at once), ``late``
        (deliveries whose time is over and that the bot still works on)."""
        return int((await self.call("counts")).get(what, 0))

    async def problems(self) -> list[str]:
        """What Teams would have refused, or not shown, of what the bot did."""
        found: list[str] = await self.call("problems", take=False)
        return found

    async def take_problems(self) -> list[str]:
        """Likewise, and they are forgiven: the fixture fails a test that leaves any."""
        found: list[str] = await self.call("problems", take=True)
        return found
