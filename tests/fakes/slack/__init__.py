"""A strict fake of Slack: a real HTTP and WebSocket server with its workspaces, and the people in them.

`FakeSlack` is the server plus what a person at a client can do: `click`, `submit`, `command`, `open_home` …. A person
only sees what was really posted: a click needs a message, a membership and a button that is on it.

Read people.py (hands), server.py (the Web API), callbacks.py (how the app is reached), methods.py and its parts (what
each method does), rules.py (what blocks and views may be), vocabulary.py (errors, arguments, scopes and tiers).
"""

from __future__ import annotations

from tests.fakes.slack.people import FakeSlack
from tests.fakes.slack.text import Seen, utf16
from tests.fakes.slack.things import Channel, Ephemeral, File, Json, Message, User, View
from tests.fakes.slack.wire import Call, Delivery, Fault
from tests.fakes.slack.workspace import Workspace

__all__ = [
    "Call", "Channel", "Delivery", "Ephemeral", "FakeSlack", "Fault", "File", "Json", "Message", "Seen", "User", "View",
    "Workspace", "utf16",
]  # fmt: skip
