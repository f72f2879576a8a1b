"""The channel that a rule of the project file names."""

from functools import partial
from pathlib import Path

from penstock.core.outward import Outward
from penstock.core.project.types import AlertSection
from penstock.core.secret_values import read_value
from penstock.monitoring.incidents.channels.channel import Channel
from penstock.monitoring.incidents.channels.email import Email
from penstock.monitoring.incidents.channels.lines import JsonLines, StandardOutput
from penstock.monitoring.incidents.channels.webhook import Slack, Webhook


def open_channel(rule: AlertSection, outward: Outward, root: Path) -> Channel:
    """A channel; addresses and secrets are read when a message is sent, and kept nowhere.

    Args:
        rule: of the project file, read without mistakes.
        outward: opens connections to other hosts.
        root: the project's folder.
    """
    match rule.to:
        case "webhook":
            return Webhook(
                outward, partial(read_value, rule.url or "", root), partial(read_value, rule.secret or "", root)
            )
        case "slack":
            return Slack(outward, partial(read_value, rule.url or "", root))
        case "email":
            user, password = rule.user, rule.password
            login = None if user is None or password is None else partial(_read_login, user, password, root)
            smtp = partial(read_value, rule.smtp or "", root)
            return Email(outward, smtp, rule.sender or "", rule.recipients, login)
        case "file":
            return JsonLines(root / (rule.path or ""))
        case "stdout":
            return StandardOutput()


def _read_login(user: str, password: str, root: Path) -> tuple[str, str]:
    return read_value(user, root), read_value(password, root)
