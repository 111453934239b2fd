"""Holdpoint: a hold point in front of self-hosted models.

A *hold point* is the quality engineer's word for a step past which work may not proceed until somebody with the
authority has signed. Every request to a model passes a thin gateway: clean ones go straight through, forbidden ones
are refused, the rest wait while the right people approve, edit or reject them from Slack or a web page.

The promises. Each has tests named after it (``pytest -m promise``) that fail when it is broken:

1. Nothing reaches a model without a recorded allow, or one approval being spent. Any doubt ends in a refusal.
2. What was inspected = what was shown = what is forwarded = what is recorded: one canonical body, bound by its digest.
3. One approval, one release: after a crash, a retry, a double click, with two gateways, with two bots.
4. State, record and notice change together, in one atomic script; a card shows a thing only after the record has it.
5. Every decision is authorised, by a verified identity with the right group at that moment. Nobody decides on their
   own request (unless the policy lets people approve what is of low risk), nor on one by an agent that they own. A
   quorum counts distinct people. The first valid decision wins.
6. No click is lost: a decision is in Redis before the platform hears "received", or the person sees that it was not.
7. Text from a request is data: never markup, a mention or a link; hidden and bidirectional characters are shown.
8. Secrets stay in: credentials and whatever the policy masks reach no log, card, metric or error message.

The words. *Requester*: who sent the request. *Reviewer*: who may decide on it. *Admin*: who may change policy, routes
and keys. *Connection*: a registered upstream model. *Query*: what the gateway understood of a request. *Rule, policy*:
a condition with a verdict; the versioned document of all of them. *Verdict*: what the policy says (allow, modify,
review, block). *Decision*: what a reviewer says (approve, reject). *Hold*: the stored record of one request that waits,
waited or was decided. *Release*: spending an approval. *Route*: requester group to channels. *Card*: one rendering of a
hold in one place. *Event*: one entry of the outbox in Redis. *Record*: one entry of the audit ledger.

Reading order: ``gateway/proxy.py`` (the route of a request) - ``holdpoint/model/`` - ``holdpoint/policy/engine.py`` -
``holdpoint/store/store.py`` and its ``lua/`` - ``gateway/wait.py`` - ``bot/notify.py`` - ``bot/decide.py`` -
``holdpoint/policy/authority.py`` - ``holdpoint/ledger/recorder.py``.
"""
