"""The same scenarios on every surface: Slack over HTTP, Slack over Socket Mode, Microsoft Teams, the web inbox.

::

    one bot with everything switched on ─┬─ Slack's fake ── surface "slack-http" | "slack-socket"
                                         ├─ Teams' fake ─── surface "teams"
                                         └─ web inbox ───── surface "web"

A scenario acts on one surface and looks at all of them: a promise that holds in one and not in another fails here.
"""
