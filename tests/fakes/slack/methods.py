"""The Web API methods of one fake workspace: arguments in, answer out, or `SlackSays`. The rules are those of its pages."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.slack.base import Scopes
from tests.fakes.slack.chat import Chat
from tests.fakes.slack.conversations import Conversations
from tests.fakes.slack.files import Files
from tests.fakes.slack.things import Json
from tests.fakes.slack.views import Views
from tests.fakes.slack.workspace import Workspace


class Methods(Chat, Conversations, Views, Files):
    """Call with the method's name, the arguments and the token's scopes."""

    def __init__(self, workspace: Workspace, link: Callable[[], str], upload_url: Callable[[str], str]) -> None:
        super().__init__(workspace, upload_url)
        self._link = link  # a fresh single-use WebSocket URL
        self._table: dict[str, Callable[[Json, Scopes], Json]] = {
            "auth.test": self._auth_test, "apps.connections.open": self._connections_open,
            "chat.postMessage": self._post, "chat.update": self._update, "chat.postEphemeral": self._ephemeral,
            "chat.delete": self._delete, "conversations.open": self._open, "conversations.info": self._info,
            "conversations.list": self._list, "conversations.members": self._members,
            "conversations.history": self._history, "conversations.replies": self._replies, "users.info": self._user,
            "users.lookupByEmail": self._by_email, "usergroups.users.list": self._usergroup,
            "views.open": self._view_open, "views.push": self._view_push, "views.update": self._view_update,
            "views.publish": self._view_publish, "files.getUploadURLExternal": self._upload_begin,
            "files.completeUploadExternal": self._upload_complete,
        }  # fmt: skip

    def __call__(self, method: str, arguments: Json, scopes: Scopes) -> Json:
        return {"ok": True, **self._table[method](arguments, scopes)}

    def _auth_test(self, _args: Json, _scopes: Scopes) -> Json:
        answer: Json = {
            "url": f"https://{self.ws.name.lower()}.slack.test/", "team": self.ws.name, "user": "holdpoint",
            "team_id": self.ws.team, "user_id": self.ws.bot_user, "bot_id": self.ws.bot_id,
            "is_enterprise_install": False,
        }  # fmt: skip
        return answer | ({"enterprise_id": self.ws.enterprise} if self.ws.enterprise else {})

    def _connections_open(self, _args: Json, _scopes: Scopes) -> Json:
        return {"url": self._link()}
