"""Connections to other people's hosts that cannot be turned inward.

A name is resolved once, every address it gives is checked, and the connection goes to an address that was checked: a
resolver that says something else the next time is not asked a second time.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from msgspec import Struct

from penstock.core.errors import InvalidInputError, PermissionDeniedError, UnavailableError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]

_NAT64 = ip_network("64:ff9b::/96")  # an IPv4 address in its last 32 bits
_MOST_ANSWER = 4_096  # bytes of an answer that are read, for the message
_TURNED_AWAY = "name its network in PENSTOCK_INWARD where this is meant"


class Posted(Struct, frozen=True):
    """What a host said to a request."""

    status: int
    body: bytes  # its beginning


def resolve_once(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the machine's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect_to(address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to an address, without any name."""
    return socket.create_connection((address, port), timeout=timeout_s)


def parse_networks(text: str) -> list[Network]:
    """`10.0.3.0/24, ::1` as networks.

    Raises:
        InvalidInputError: one of them is none.
    """
    try:
        return [ip_network(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InvalidInputError(f"{error}", hint="write networks as 10.0.3.0/24, with commas between them") from error


class Outward:
    """Opens connections to hosts outside, and to those networks inside that are named.

    Args:
        inward: networks that are not public and may be reached all the same.
        resolve: the addresses of a name.
        connect: opens a connection to one address.
    """

    def __init__(
        self, inward: Sequence[Network] = (), *, resolve: Resolve = resolve_once, connect: Connect = connect_to
    ) -> None:
        self._inward = list(inward)
        self._resolve = resolve
        self._connect = connect

    def open(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to a host by its name.

        Raises:
            PermissionDeniedError: the name leads inward, be it with one of its addresses only.
            UnavailableError: it has no address just now, or none of them answers.
        """
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise UnavailableError(f"the host {host!r} has no address: {error}") from error
        for address in addresses:
            if not self._may_reach(address):
                raise PermissionDeniedError(f"{host!r} leads inward, to {address}", hint=_TURNED_AWAY)
        failure = ""
        for address in addresses:
            try:
                return self._connect(address, port, timeout_s)
            except OSError as error:
                failure = str(error)
        raise UnavailableError(f"nothing answers at {host}:{port}: {failure or 'it has no address'}")

    def _may_reach(self, text: str) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        within = {address, *_hidden_in(address)}
        if any(network.version == each.version and each in network for network in self._inward for each in within):
            return True
        return all(each.is_global and not each.is_multicast for each in within)


def _hidden_in(address: Address) -> list[Address]:
    """The IPv4 addresses that a translator or a tunnel would make of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found.append(address.teredo[1])
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [each for each in found if each is not None]


def post(outward: Outward, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Posted:
    """Send a body to an address over HTTP or HTTPS; no redirect is followed, no proxy is asked.

    Args:
        outward: opens the connection.
        url: where to.
        body: what.
        headers: besides Host and Content-Length.
        timeout_s: for all of it: a host that answers a byte a second gets no more time than one that is silent.

    Raises:
        InvalidInputError: the address is none.
        PermissionDeniedError: it leads inward.
        UnavailableError: nobody answers in time.
    """
    host, port, is_secure, target = _split(url)
    plain = outward.open(host, port, timeout_s)
    timer = threading.Timer(timeout_s, _cut, [plain])
    timer.daemon = True
    timer.start()
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        secure = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if is_secure else plain
        connection.sock = secure
        connection.request("POST", target, body=body, headers={**headers, "connection": "close"})
        answer = connection.getresponse()
        return Posted(answer.status, answer.read(_MOST_ANSWER))
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{host}:{port} does not answer: {error or type(error).__name__}") from error
    finally:
        timer.cancel()
        connection.close()
        plain.close()


def _split(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether it is HTTPS, and the path with its query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError("the address cannot be read", hint="write https://HOST/PATH") from error
    odd = any(not character.isprintable() or character == " " for character in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or odd:
        raise InvalidInputError("the address is not http:// or https:// with a host", hint="write https://HOST/PATH")
    is_secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, port or (443 if is_secure else 80), is_secure, target


def _cut(plain: socket.socket) -> None:
    """End a connection on which another thread waits."""
    with contextlib.suppress(OSError):  # it has ended
        plain.shutdown(socket.SHUT_RDWR)
