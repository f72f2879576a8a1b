"""Messages as signed JSON over HTTP, in the form of Standard Webhooks, and as Slack takes them."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from penstock.core import codec
from penstock.core.errors import InvalidInputError, PenstockError, UnavailableError
from penstock.core.outward import Outward, post
from penstock.monitoring.incidents.channels.channel import DeliveryError
from penstock.monitoring.incidents.messages import write_lines
from penstock.monitoring.incidents.types import Delivery

TIMEOUT_S = 15.0
_AGAIN = (408, 425, 429)  # and every 5xx: the other side asks for another try
_ENCODED = "whsec_"  # what a secret in base64 begins with


class Webhook:
    """A webhook that is signed with HMAC-SHA256.

    `webhook-signature` is `v1,` and the base64 of the HMAC of `{webhook-id}.{webhook-timestamp}.{body}`; the id is the
    same at every try of one message. See https://www.standardwebhooks.com.

    Args:
        outward: opens the connections.
        url: gives the address.
        secret: gives the key: text, or `whsec_` and base64.
        now: the clock.
    """

    def __init__(
        self,
        outward: Outward,
        url: Callable[[], str],
        secret: Callable[[], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._outward = outward
        self._url = url
        self._secret = secret
        self._now = now

    def send(self, delivery: Delivery) -> None:
        """Send a message; see `Channel`."""
        kind = "test" if delivery.step == "test" else f"incident.{delivery.step}"
        body = codec.encode({"type": kind, "timestamp": delivery.created_at, "data": delivery.message})
        stamp = str(int(self._now().timestamp()))
        headers = {
            "webhook-id": delivery.id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(_read(self._secret), delivery.id, stamp, body),
        }
        _post(self._outward, self._url, body, headers)


class Slack:
    """An incoming webhook of Slack, or of what speaks as Slack does; the address is the secret.

    Args:
        outward: opens the connections.
        url: gives the address.
    """

    def __init__(self, outward: Outward, url: Callable[[], str]) -> None:
        self._outward = outward
        self._url = url

    def send(self, delivery: Delivery) -> None:
        """Send a message; see `Channel`."""
        message = delivery.message
        lines = [f"*{_plain(message['title'])}*", *(_plain(line) for line in write_lines(message))]
        _post(self._outward, self._url, codec.encode({"text": "\n".join(lines)}), {})


def sign(secret: str, name: str, stamp: str, body: bytes) -> str:
    """The signature of a message, as its header shows it."""
    if secret.startswith(_ENCODED):
        try:
            key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except ValueError:
            raise DeliveryError("the secret begins with whsec_ and is no base64", is_final=True) from None
    else:
        key = secret.encode()
    signed = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _post(outward: Outward, url: Callable[[], str], body: bytes, more: dict[str, str]) -> None:
    headers = {"content-type": "application/json", "user-agent": "penstock", **more}
    try:
        answer = post(outward, _read(url), body, headers, timeout_s=TIMEOUT_S)
    except UnavailableError as error:
        raise DeliveryError(error.message) from error
    except PenstockError as error:
        raise DeliveryError(str(error), is_final=True) from error
    if 200 <= answer.status < 300:
        return
    told = f"the other side answered {answer.status}"
    if 300 <= answer.status < 400:
        raise DeliveryError(f"{told}, and redirects are not followed", is_final=True)
    raise DeliveryError(told, is_final=answer.status < 500 and answer.status not in _AGAIN)


def _read(value: Callable[[], str]) -> str:
    try:
        return value()
    except InvalidInputError as error:
        raise DeliveryError(str(error), is_final=True) from error


def _plain(text: Any) -> str:
    """Text in which Slack sees no links or mentions."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
