"""The verbs of ``POST /_fake/<verb>``: how a test arranges things, acts for people, and looks."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tests.fakes.teams.delivery import RIGHT as RIGHT_TOKEN
from tests.fakes.teams.faults import as_fault
from tests.fakes.teams.things import CannotBeDone, Json, Person, Place
from tests.fakes.teams.wrong_tokens import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.fakes.teams.server import Microsoft


class Control:
    """A verb is a method here, or on the people's hands (`Clients`) and `Installs`."""

    def __init__(self, of: Microsoft) -> None:
        self._of = of
        self._hands = {
            **{name: getattr(of.clients, name) for name in ("click", "open", "submit", "say")},
            **{
                name: getattr(of.installs, name)
                for name in (
                    "install", "uninstall", "install_personal", "uninstall_personal", "join", "leave", "rename", "move",
                    "rename_team", "add_channel", "drop_channel",
                )
            },
        }  # fmt: skip

    async def do(self, verb: str, arguments: Json) -> Any:
        method = self._hands.get(verb) or getattr(self, f"do_{verb}", None)
        if method is None:
            raise CannotBeDone(f"no verb {verb}")
        result = method(**arguments)
        return await result if inspect.isawaitable(result) else result

    # arranging

    def do_connect(self, url: str) -> None:
        self._of.post.bot_url = url

    def do_add_person(self, **described: Any) -> Json:
        return self._of.world.add_person(Person(**described)).member()

    def do_change_person(self, key: str, **changes: Any) -> None:
        person = self._of.world.person(key)
        for name, value in changes.items():
            setattr(person, name, value)

    def do_add_team(self, name: str, members: list[str], channels: list[str], tenant: str) -> Json:
        return self._of.world.add_team(name, members, channels, tenant).data()

    def do_add_group(self, name: str, members: list[str], tenant: str) -> str:
        return self._of.world.add_group(name, members, tenant).id

    def do_add_entra_group(self, group: str, members: list[str]) -> None:
        self._of.world.groups[group] = members

    def do_change_place(self, conversation: str, **changes: Any) -> None:
        place: Place = self._of.world.places[conversation]
        for name, value in changes.items():
            setattr(place, name, value)

    def do_set(self, **settings: Any) -> None:
        """Settings of the world, the delivery, the rates and the login, by name."""
        of = self._of
        holders = {"rates": (of.rates, "on"), "copies": (of.post, "copies"), "invoke_s": (of.post, "invoke_s"),
                   "secret": (of.login, "secret"), "token_life_s": (of.login, "life_s"), "registered": (of.login, "registered"),
                   "tenants": (of.login, "tenants")}  # fmt: skip
        for name, value in settings.items():
            holder, attribute = holders.get(name, (of.world, name))
            assert hasattr(holder, attribute), name
            setattr(holder, attribute, set(value) if isinstance(value, list) else value)

    def do_advance(self, seconds: float) -> None:
        self._of.world.ahead_s += seconds

    def do_fault(self, **described: Any) -> None:
        self._of.faults.add(as_fault(described))

    def do_clear_faults(self) -> None:
        self._of.faults.clear()

    def do_open_gate(self, name: str) -> None:
        self._of.faults.open(name)

    def do_at_gate(self, name: str) -> int:
        return self._of.faults.held.get(name, 0)

    def do_rotate(self, **how: bool) -> str:
        return self._of.ring.rotate(**how)

    def do_publish(self) -> None:
        for key in self._of.ring.keys:
            key.published = True

    def do_revoke_tokens(self, token: str) -> None:
        self._of.login.revoked.add(token)

    # looking

    def do_messages(self, conversation: str, person: str) -> list[Json]:
        if person:
            self._of.clients.sees(person, conversation)
        return [message.as_json(person) for message in self._of.world.in_place(conversation)]

    def do_message(self, conversation: str, message_id: str, person: str) -> Json:
        return self._of.world.messages[conversation, message_id].as_json(person)

    def do_remove(self, conversation: str, message_id: str) -> None:
        self._of.world.messages[conversation, message_id].deleted = True

    def do_dialog(self, person: str) -> Json | None:
        dialog = self._of.world.dialogs.get(person)
        return dialog.as_json() if dialog else None

    def do_close_dialog(self, person: str) -> None:
        self._of.world.dialogs.pop(person, None)

    def do_notices(self, person: str) -> list[Json]:
        return [notice for notice in self._of.world.notices if notice["person"] == person]

    def do_calls(self) -> list[Json]:
        return [call.as_json() for call in self._of.connector.calls]

    def do_counts(self) -> Json:
        return {**self._of.fetches, "overlaps": self._of.connector.overlaps, "late": len(self._of.post.late)}

    def do_problems(self, *, take: bool) -> list[str]:
        problems = list(self._of.world.problems)
        if take:
            self._of.world.problems.clear()
        return problems

    def do_sent(self) -> list[Json]:
        return self._of.post.sent

    # activities by hand

    def do_activity(self, kind: str, person: str, conversation: str) -> Json:
        """The head of an activity, to change and `deliver`."""
        who, place = self._of.world.person(person), self._of.world.places[conversation]
        return self._of.clients.head(kind, who, place)

    async def do_deliver(self, activity: Json, token: str, attempts: int) -> list[Json]:
        """An activity as given. ``token``: "" the right one, or a name of wrong_tokens."""
        header: str | None = RIGHT_TOKEN
        if token:
            case = WRONG.get(token) or RIGHT[token]
            case.prepare(self._of.ring)
            header = case.header(self._of.ring, activity["serviceUrl"])
        sent = await self._of.post.deliver(activity, authorization=header, attempts=attempts)
        return [asdict(answer) for answer in sent]

    async def do_raw(self, body: str, content_type: str, service_url: str) -> Json:
        """Any bytes (latin-1), with a right token."""
        header = self._of.ring.bearer(service_url)
        status, answer = await self._of.post.raw(body.encode("latin-1"), header, content_type)
        return {"status": status, "body": answer}
