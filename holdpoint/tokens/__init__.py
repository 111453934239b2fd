"""Tokens of identity providers: who issued one, whether it counts, and whom it names.

::

    token ─ providers (whose keys) ─ verify (by keys) ─ claims ─ identity (by the policy's issuers) ─▶ who it is

`reading`, `bodies` and `kept` are what fetching anything from such a provider takes.
"""
