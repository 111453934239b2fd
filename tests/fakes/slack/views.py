"""views.*: modals with their stack of three, and the Home tab."""

from __future__ import annotations

import secrets
from typing import Any

from tests.fakes.slack.base import Base, Scopes
from tests.fakes.slack.rules import VIEW_BYTES, view_bytes, view_problems
from tests.fakes.slack.things import Json, SlackSays, View
from tests.fakes.slack.workspace import MOST_STACKED


class Views(Base):
    def _view_open(self, args: Json, _scopes: Scopes) -> Json:
        content = self._view(args)
        user = self.ws.spend_trigger(args.get("trigger_id"))
        return {"view": self.ws.open_view(user, content, None).as_json()}

    def _view_push(self, args: Json, _scopes: Scopes) -> Json:
        content = self._view(args)
        user = self.ws.spend_trigger(args.get("trigger_id"))
        stack = self.ws.modals(self.ws.users[user])
        if not stack:
            raise SlackSays("not_found")
        if len(stack) >= MOST_STACKED:
            raise SlackSays("push_limit_reached")
        return {"view": self.ws.open_view(user, content, stack[-1].root).as_json()}

    def _view_update(self, args: Json, _scopes: Scopes) -> Json:
        content = self._view(args)
        if args.get("view_id"):
            view = self.ws.views.get(str(args["view_id"]))
        else:
            name = args.get("external_id")
            view = next((v for v in self.ws.views.values() if name and v.content.get("external_id") == name), None)
        if view is None or not view.open:
            raise SlackSays("not_found")
        if "hash" in args and args["hash"] != view.hash:
            raise SlackSays("hash_conflict")
        return {"view": self.replace(view, content).as_json()}

    def _view_publish(self, args: Json, _scopes: Scopes) -> Json:
        if not self.ws.home_tab:
            raise SlackSays("not_enabled")
        self.check_view(args["view"], kind="home")
        content: Json = args["view"]
        user = self.ws.users.get(args["user_id"])
        if user is None or user.is_bot:
            raise SlackSays("invalid_arguments", "user_id")
        home = self.ws.homes.get(user.id)
        if home is None:
            if args.get("hash"):
                raise SlackSays("hash_conflict")
            home = self.ws.homes[user.id] = self.ws.open_view(user.id, content, None, kind="home")
        else:
            if args.get("hash") and args["hash"] != home.hash:
                raise SlackSays("hash_conflict")
            self.replace(home, content)
            home.published += 1
        return {"view": home.as_json()}

    def replace(self, view: View, content: Json) -> View:
        self.check_view(content, kind=view.kind)
        view.content, view.hash, view.errors = content, secrets.token_hex(4), {}
        return view

    def check_view(self, content: Any, *, kind: str = "modal") -> None:
        problems = view_problems(content, kind=kind)
        if problems:
            raise SlackSays("invalid_arguments", *problems)
        if view_bytes(content) > VIEW_BYTES:
            raise SlackSays("view_too_large")

    def _view(self, args: Json) -> Json:
        self.check_view(args["view"])
        view: Json = args["view"]
        name = view.get("external_id")
        others = (v for v in self.ws.views.values() if v.open and v.id != args.get("view_id"))
        if name and not args.get("external_id") and any(v.content.get("external_id") == name for v in others):
            raise SlackSays("duplicate_external_id")
        return view
