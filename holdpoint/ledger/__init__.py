"""The audit ledger: one append-only, hash-chained record for every event of the outbox.

::

    outbox (Redis) ─ recorder ─ entries ─ chain (canonical bytes, hashes) ─ sql (one transaction per batch) ─ ack, trim
                                                                             │
                                            search · timeline · verify · export (holdpoint audit …)

Reading order: ``chain`` (what a record is) - ``columns`` (what can be searched) - ``schema`` and ``sql`` (where it
stands) - ``recorder`` (how it gets there) - ``verify`` - ``search`` - ``timeline`` - ``export``.
"""
