"""The web inbox and the review API; with bot/slack the only user of aiohttp. Read server.py, then inbox.py, then api.py.

::

    server (one error handler, security headers) ─┬─ sign_in ─ inbox ─ forms ─▶ bot.decide
                                                  ├─ feed (Server-Sent Events: "look again")
                                                  ├─ confirm (confirm_view), passkey_pages ─ passkeys ─▶ bot.confirmation
                                                  ├─ api ─ documents, openapi ─▶ bot.decide
                                                  └─ health
"""
