"""Connections to other hosts cannot be turned inward, whatever a resolver says and however often it is asked (P40)."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

import pytest

from patience import PATIENCE_S
from penstock.core.errors import InvalidInputError, PermissionDeniedError, UnavailableError
from penstock.core.outward import Outward, parse_networks, post

PUBLIC, LOOPBACK = "93.184.216.34", "127.0.0.1"
INWARD = [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:7f00:1:0:0:80ff:fffe", "no address",
]  # fmt: skip


class Counting:
    """A listener on loopback that counts who comes."""

    def __init__(self) -> None:
        self.listener = socket.create_server((LOOPBACK, 0))
        self.listener.settimeout(0.2)
        self.port = self.listener.getsockname()[1]

    def count(self) -> int:
        found = 0
        while True:
            try:
                self.listener.accept()[0].close()
            except TimeoutError:
                return found
            found += 1


@pytest.fixture
def inside() -> Iterator[Counting]:
    counting = Counting()
    yield counting
    counting.listener.close()


class Turning:
    """A resolver that gives another answer each time, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Outside:
    """Connects to nothing outside, and notes where it was sent; what is inside it really connects to."""

    def __init__(self) -> None:
        self.sent_to: list[str] = []

    def __call__(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.sent_to.append(address)
        if address == PUBLIC:
            raise ConnectionRefusedError("nobody there")
        return socket.create_connection((address, port), timeout=timeout_s)


def test_a_resolver_that_says_public_and_then_private_is_asked_once_and_nothing_comes_in(inside: Counting) -> None:
    resolve, connect = Turning([PUBLIC], [LOOPBACK]), Outside()
    outward = Outward(resolve=resolve, connect=connect)
    with pytest.raises(UnavailableError, match="nobody there"):
        post(outward, f"http://rebinding.example:{inside.port}/", b"{}", {}, timeout_s=1)
    assert (resolve.asked, connect.sent_to) == (1, [PUBLIC])
    with pytest.raises(PermissionDeniedError, match=r"'rebinding.example' leads inward, to 127.0.0.1"):
        post(outward, f"http://rebinding.example:{inside.port}/", b"{}", {}, timeout_s=1)
    assert connect.sent_to == [PUBLIC]
    assert inside.count() == 0


def test_one_address_inside_among_many_is_enough_to_be_refused(inside: Counting) -> None:
    connect = Outside()
    outward = Outward(resolve=Turning([PUBLIC, LOOPBACK]), connect=connect)
    with pytest.raises(PermissionDeniedError):
        outward.open("both.example", inside.port, 1)
    assert connect.sent_to == []
    assert inside.count() == 0


@pytest.mark.parametrize("address", INWARD)
def test_no_address_inside_is_reached_in_any_of_its_forms(address: str) -> None:
    connect = Outside()
    with pytest.raises(PermissionDeniedError, match="PENSTOCK_INWARD"):
        Outward(resolve=Turning([address]), connect=connect).open("host.example", 443, 1)
    assert connect.sent_to == []


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost", "[::1]"])
def test_a_host_written_as_a_number_is_what_the_machine_takes_it_for(host: str, inside: Counting) -> None:
    with pytest.raises((PermissionDeniedError, UnavailableError)):
        post(Outward(), f"http://{host}:{inside.port}/", b"{}", {}, timeout_s=1)
    assert inside.count() == 0


def test_a_network_that_is_named_may_be_reached_and_no_other(inside: Counting) -> None:
    outward = Outward([ip_network("127.0.0.0/8")], resolve=Turning([LOOPBACK]))
    outward.open("hook.internal", inside.port, 1).close()
    assert inside.count() == 1
    with pytest.raises(PermissionDeniedError):
        Outward([ip_network("127.0.0.0/8")], resolve=Turning(["10.0.0.1"])).open("other.internal", inside.port, 1)


class Redirecting(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(302)
        self.send_header("location", self.headers["x-to"])
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_a_redirect_is_told_and_not_followed(inside: Counting) -> None:
    server = http.server.HTTPServer((LOOPBACK, 0), Redirecting)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    outward = Outward([ip_network(f"{LOOPBACK}/32")])
    to = f"http://{LOOPBACK}:{inside.port}/"
    answer = post(outward, f"http://{LOOPBACK}:{server.server_port}/", b"{}", {"x-to": to}, timeout_s=5)
    thread.join()
    server.server_close()
    assert answer.status == 302
    assert inside.count() == 0


def test_a_host_that_answers_a_byte_at_a_time_gets_no_more_time_than_a_silent_one(inside: Counting) -> None:
    def drip() -> None:
        inside.listener.settimeout(None)
        connection, _ = inside.listener.accept()
        with connection:
            try:
                while True:
                    connection.send(b"H")
                    time.sleep(0.05)
            except OSError:
                pass

    thread = threading.Thread(target=drip)
    thread.start()
    outward = Outward([ip_network("127.0.0.0/8")])
    with pytest.raises(UnavailableError):
        post(outward, f"http://{LOOPBACK}:{inside.port}/", b"{}", {}, timeout_s=0.5)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "http:///only/a/path",
        "http://u:p@h/",
        "http://h:x/",
        "file:///etc/passwd",
        "http://h/a b",
        "http://h/a\nb",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        post(Outward(), url, b"{}", {}, timeout_s=1)
    assert url not in str(caught.value)


def test_networks_are_read_from_text() -> None:
    assert parse_networks("10.0.3.0/24, ::1") == [ip_network("10.0.3.0/24"), ip_network("::1/128")]
    assert parse_networks("") == []
    with pytest.raises(InvalidInputError, match="with commas"):
        parse_networks("ten")
