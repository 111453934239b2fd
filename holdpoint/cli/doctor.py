"""`holdpoint doctor [slack|teams|email]`: is everything as it must be? One line per check: ok, warn or fail, and what to do.

Exit code 0 when nothing fails, 1 when something does. No line carries a secret.
"""

from __future__ import annotations

import asyncio

import click

from holdpoint.cli import checks
from holdpoint.cli.common import json_option, print_json, print_table, settings_with_logs
from holdpoint.errors import ConfigurationError
from holdpoint.findings import Finding, Grade


@click.command()
@click.argument("part", required=False, type=click.Choice(["slack", "teams", "email"]))
@json_option
def doctor(*, part: str | None, as_json: bool) -> int:
    """Check settings, Redis, policy, keys, ledger, Slack, Teams, e-mail, clocks and ports; or with a PART, that part alone."""
    findings = asyncio.run(_examine(part))
    healthy = not any(finding.grade is Grade.FAIL for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "checks": findings})
    else:
        print_table(
            ["", "CHECK", "FOUND", "WHAT TO DO"],
            [[finding.grade, finding.check, finding.said, finding.advice] for finding in findings],
        )
    return 0 if healthy else 1


async def _examine(part: str | None) -> list[Finding]:
    try:
        settings = settings_with_logs()
    except ConfigurationError as error:
        return [Finding("settings", Grade.FAIL, line, "see .env.example") for line in str(error).splitlines()]
    from holdpoint.cli.doctor_email import examine_email  # noqa: PLC0415 - brings the bot's packages with it
    from holdpoint.cli.doctor_slack import examine_slack  # noqa: PLC0415 - the SDK takes a moment to load
    from holdpoint.cli.doctor_teams import examine_teams  # noqa: PLC0415 - this one, too

    if part == "slack":
        return await examine_slack(settings)
    if part == "teams":
        return await examine_teams(settings)
    if part == "email":
        return await examine_email(settings)
    findings = [Finding("settings", Grade.OK, "every setting is valid")]
    findings.extend([finding async for finding in checks.stored(settings)])
    findings.append(await asyncio.to_thread(checks.ledger, settings))
    findings.extend(await examine_slack(settings))
    findings.extend(await examine_teams(settings))
    findings.extend(await examine_email(settings))
    if settings.gateway_socket is None:
        host, number, certificate = settings.gateway_host, settings.gateway_port, settings.gateway_tls_cert
        findings.append(checks.port("gateway port", host, number, certificate=certificate))
    findings.append(checks.port("bot port", settings.bot_host, settings.bot_port))
    return findings
