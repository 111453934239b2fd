"""Tokens of identity providers: who issued one, whether it counts, and whom it names.

::

    token ─ verify (one provider's keys, by keys) ─ claims ─ identity (by the policy's issuers) ─▶ who it is
"""
