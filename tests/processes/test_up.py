"""What `penstock up` checks before it starts anything, and how it finds what it started."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core.config import Config
from penstock.core.errors import ConflictError, NotFoundError, PermissionDeniedError
from penstock.processes.exposure import check_exposure
from penstock.processes.up import start_up, stop_up
from penstock.remote.discovery import UP_LOCK_NAME, HomeLock


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(home=tmp_path / ".penstock", port=0, gateway_port=0)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def start(config: Config) -> None:
    with start_up(config.home.parent, config, print):
        raise AssertionError("it started")


@pytest.mark.parametrize(
    ("setting", "option"), [("port", "choose another port with --port"), ("gateway_port", "with --gateway-port")]
)
def test_a_taken_port_is_refused_and_everything_let_go(setting: str, option: str, config: Config, taken: int) -> None:
    with pytest.raises(ConflictError, match=f"127.0.0.1:{taken}") as refusal:
        start(Config(home=config.home, **({"port": 0, "gateway_port": 0} | {setting: taken})))
    assert option in refusal.value.hint
    assert not HomeLock(config.home / UP_LOCK_NAME).is_held


def test_a_second_one_is_refused_and_told_the_first(config: Config) -> None:
    lock = HomeLock(config.home / UP_LOCK_NAME)
    lock.acquire()
    with pytest.raises(ConflictError, match=rf"up already \(process {lock.holder}\); stop it with 'penstock stop'"):
        start(config)
    lock.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    check_exposure(Config(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "ml.example", ""])
def test_any_other_address_needs_one(host: str) -> None:
    with pytest.raises(PermissionDeniedError, match="would let anyone on the network in; set PENSTOCK_TOKEN"):
        check_exposure(Config(host=host))
    check_exposure(Config(host=host, token="ours"))


def test_where_nothing_is_up_there_is_nothing_to_stop(config: Config) -> None:
    with pytest.raises(NotFoundError, match=r"nothing is up for .*; start it with 'penstock up'"):
        stop_up(config.home)
