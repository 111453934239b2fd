"""The policy: which requests pass, are changed, wait or are refused, who may decide. Pure, but for time in `check`, `matchers`.

Reading order: ``parse`` (YAML → ``document``, which names the file of each section) - ``engine`` (compile, evaluate) -
``conditions`` - ``views`` and ``matchers``, ``spans``, ``patterns`` (which match, and where) - ``rulings``, ``verdicts``
(many rules, one evaluation) - ``modify`` - ``authority`` (who may decide), with ``people`` (who is whom), ``quorum`` (when
it is enough) and ``separation`` (who changed the rules) - ``mask`` (what is not shown) - ``check`` (what is said before a
push). Reference: ``docs/policy.md``.
"""

from holdpoint.policy import authority, mask
from holdpoint.policy.check import check_policy
from holdpoint.policy.document import Document
from holdpoint.policy.engine import Policy, compile_policy
from holdpoint.policy.parse import parse_policy

__all__ = ["Document", "Policy", "authority", "check_policy", "compile_policy", "mask", "parse_policy"]
