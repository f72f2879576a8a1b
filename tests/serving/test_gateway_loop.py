"""The gateway's other half: it follows the routing, loads before it swaps, ships, and outlives the server."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from patience import wait_until
from penstock.core.errors import (
    ConflictError,
    CorruptDataError,
    PenstockError,
    UnauthenticatedError,
    UnavailableError,
)
from penstock.core.identity import Actor, Role
from penstock.core.ids import Digest
from penstock.predictions.blocks import pack_rows
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow, Segment
from penstock.registry.format.loaded import LoadedModel
from penstock.registry.format.types import FastForm, ModelFacts
from penstock.registry.loading import open_tree
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import GatewayPort
from penstock.serving.types import GatewayReport, Routing
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_ranking
from vetting import unvetted

SYSTEM = Actor("system", Role.ADMIN)
FACTS = ModelFacts(flavor="sklearn", task="binary")
ROW = [{"user": "u", "recent": ""}]


class Cable:
    """The way to the server, which can be cut."""

    def __init__(self, port: GatewayPort) -> None:
        self.port = port
        self.is_cut = False
        self.loses_answers = False

    def fetch_routing(self) -> Routing:
        self._pass()
        return self.port.fetch_routing()

    def ship_segment(self, segment: Segment, path: Path) -> None:
        self._pass()
        self.port.ship_segment(segment, path)
        if self.loses_answers:
            raise ConnectionResetError("the answer was lost")

    def report(self, report: GatewayReport) -> None:
        self._pass()
        self.port.report(report)

    def _pass(self) -> None:
        if self.is_cut:
            raise UnavailableError("the server is away")


def test_a_fast_form_that_was_made_later_takes_over_without_another_revision(
    gateway: GatewayUnderTest, backend: Backend
) -> None:
    version = backend.registry.get_version("churn", 1)
    slow = backend.folder / "slow"
    backend.objects.checkout(version.get_tree(), slow)
    (slow / "marker").write_text("not the same digest")
    form = FastForm(used=True)
    waiting = backend.registry.add_version("churn", "elsewhere", tree=backend.objects.put_tree(slow), facts=FACTS)
    backend.serving.deploy("churn", "churn", waiting.version)
    gateway.loop.step()
    before = gateway.gateway.table.get("churn").stable
    backend.db.submit(
        lambda tx: backend.registry.set_fast_form.join(tx, waiting, form, version.get_tree()), actor=SYSTEM
    ).result()
    gateway.loop.step()
    after = gateway.gateway.table.get("churn").stable
    assert after is not before
    assert (before.route.fast, after.route.fast) == (None, version.tree)
    assert after.route.number == before.route.number
    assert gateway.predict("churn", [{"age": 20, "visits": 1}])[0]["prediction"] == 0


def test_a_fast_form_that_cannot_be_loaded_leaves_the_model_as_it_is(
    gateway: GatewayUnderTest, backend: Backend
) -> None:
    broken = backend.register_broken().get_tree()
    version = backend.registry.add_version(
        "churn", "elsewhere", tree=backend.registry.get_version("churn", 1).tree, facts=FACTS
    )
    backend.serving.deploy("churn", "churn", version.version)
    backend.db.submit(
        lambda tx: backend.registry.set_fast_form.join(tx, version, FastForm(used=True), broken), actor=SYSTEM
    ).result()
    gateway.loop.step()
    assert gateway.predict("churn", [{"age": 20, "visits": 1}])[0]["version"] == version.version
    assert not backend.serving.list_gateways()[0].failures


def test_a_revision_that_cannot_be_loaded_is_reported_and_gets_no_traffic(
    gateway: GatewayUnderTest, backend: Backend
) -> None:
    version = backend.register_broken()
    backend.serving.deploy("shop", "shop", version.version)
    gateway.loop.step()
    (row,) = gateway.predict("shop", ROW)
    assert row["version"] == 1
    (report,) = backend.serving.list_gateways()
    assert report.routing == backend.serving.routing().number
    assert report.revisions["shop"] == [1]
    (failure,) = report.failures
    assert (failure.deployment, failure.revision, failure.version) == ("shop", 2, version.version)
    assert "cannot be read" in failure.problem
    backend.serving.roll_back("shop")
    gateway.loop.step()
    assert backend.serving.list_gateways()[0].failures == []


def test_a_candidate_that_cannot_be_loaded_gets_no_traffic(gateway: GatewayUnderTest, backend: Backend) -> None:
    version = backend.register_broken()
    backend.serving.deploy("shop", "shop", version.version, strategy="canary", steps=(0.9,))
    gateway.loop.step()
    rows = gateway.predict("shop", [{"user": f"u{number}", "recent": ""} for number in range(20)])
    assert {row["revision"] for row in rows} == {1}
    assert backend.serving.list_gateways()[0].failures[0].revision == 2


def test_a_model_that_cannot_be_fetched_just_now_is_no_broken_model(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    log = SegmentLog(tmp_path / "segments")
    is_away = [True]

    def fetch(tree: Digest) -> LoadedModel:
        if is_away[0]:
            raise UnavailableError("the object store is away")
        return open_tree(backend.objects, tree, tmp_path, unvetted(tmp_path))

    loop = GatewayLoop(Gateway(log), backend.port, log, fetch, tmp_path, poll_s=0.0)
    loop.step()
    assert loop.gateway.table.deployments == {}
    assert backend.serving.list_gateways()[0].failures == []
    is_away[0] = False
    loop.step()
    assert list(loop.gateway.table.deployments) == ["shop"]
    loop.stop()


def test_the_gateway_serves_on_while_the_server_is_away(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    cable = Cable(backend.port)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", port=cable)
    gateway.loop.step()
    cable.is_cut = True
    for _ in range(3):
        gateway.predict("shop", ROW)
        gateway.log.rotate()
        gateway.loop.step()
    assert len(gateway.log.list_closed()) == 3
    assert backend.predictions.list_segments("shop") == []
    cable.is_cut = False
    gateway.loop.step()
    assert sum(segment.rows for segment in backend.predictions.list_segments("shop")) == 3
    gateway.stop()


def test_a_gateway_starts_without_the_server_from_what_it_had(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    backend.register(make_ranking(reverse=True), "shop", "ranking")
    rollout = backend.serving.deploy("shop", "shop", 2, strategy="canary", steps=(0.9,))
    first = GatewayUnderTest(backend, tmp_path / "gateway")
    first.loop.step()
    first.stop()
    backend.serving.abort(rollout.id)

    cable = Cable(backend.port)
    cable.is_cut = True
    second = GatewayUnderTest(backend, tmp_path / "gateway", port=cable)
    second.loop.start()
    wait_until(lambda: second.client.get("/ping").status_code == 200)
    rows = second.predict("shop", [{"user": f"u{number}", "recent": ""} for number in range(20)])
    assert {row["revision"] for row in rows} == {1}  # the candidate waits for the server's word, and it is aborted
    cable.is_cut = False
    wait_until(lambda: second.gateway.table.number == backend.serving.routing().number)
    second.stop()


def test_a_segment_whose_answer_was_lost_is_counted_once(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    cable = Cable(backend.port)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", port=cable)
    gateway.loop.step()
    gateway.predict("shop", ROW)
    cable.loses_answers = True
    gateway.log.rotate()
    gateway.loop.step()
    assert gateway.log.list_closed()
    cable.loses_answers = False
    gateway.loop.step()
    assert gateway.log.list_closed() == []
    assert backend.predictions.get_traffic("shop").rows == 1
    gateway.stop()


def test_a_graceful_stop_ships_what_is_left(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway")
    gateway.loop.start()
    wait_until(lambda: gateway.gateway.table.deployments)
    (row,) = gateway.predict("shop", ROW)
    gateway.stop()
    (segment,) = backend.predictions.list_segments("shop")
    assert row["id"] == f"{segment.id}-0"
    assert sorted(path.name for path in (tmp_path / "gateway" / "segments").iterdir()) == ["lock"]


def test_what_a_killed_gateway_left_behind_is_shipped(backend: Backend, tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    log = SegmentLog(folder, rotate_after_s=3600)
    log.append("shop", pack_rows([PredictionRow(1, 1, "u", "{}", "{}", 5)]))
    log.close()
    (path,) = log.list_closed()
    path.rename(path.with_suffix(".open"))
    path.with_suffix(".parquet").write_bytes(b"half a file")

    again = SegmentLog(folder)
    loop = GatewayLoop(Gateway(again), backend.port, again, _no_model, tmp_path)
    loop.stop()
    assert backend.predictions.get_traffic("shop").rows == 1
    assert [item.name for item in folder.iterdir()] == ["lock"]


def test_segments_that_are_damaged_or_refused_hold_up_nobody(backend: Backend, tmp_path: Path) -> None:
    log = SegmentLog(tmp_path / "segments", rotate_after_s=3600)
    for name in ("shop", "churn", "other"):
        log.append(name, pack_rows([PredictionRow(1, 1, "u", "{}", "{}", 5)]))
        log.rotate()
    damaged, refused, good = log.list_closed()
    damaged.write_bytes(damaged.read_bytes()[:-1])

    class Refusing(Cable):
        def ship_segment(self, segment: Segment, path: Path) -> None:
            if segment.id == refused.stem:
                raise ConflictError("known with other rows")
            super().ship_segment(segment, path)

    loop = GatewayLoop(Gateway(log), Refusing(backend.port), log, _no_model, tmp_path)
    loop.step()
    assert log.list_closed() == []
    assert damaged.with_suffix(".damaged").exists()
    assert refused.with_suffix(".refused").exists()
    assert not good.exists()
    loop.stop()


@pytest.mark.parametrize("error", [UnauthenticatedError, CorruptDataError, PenstockError])
def test_a_server_in_trouble_condemns_no_segment(backend: Backend, tmp_path: Path, error: type[PenstockError]) -> None:
    log = SegmentLog(tmp_path / "segments", rotate_after_s=3600)
    log.append("shop", pack_rows([PredictionRow(1, 1, "u", "{}", "{}", 5)]))
    log.rotate()

    class Troubled(Cable):
        def ship_segment(self, segment: Segment, path: Path) -> None:
            raise error("not now")

    GatewayLoop(Gateway(log), Troubled(backend.port), log, _no_model, tmp_path).step()
    assert len(log.list_closed()) == 1
    GatewayLoop(Gateway(log), backend.port, log, _no_model, tmp_path).stop()
    assert backend.predictions.get_traffic("shop").rows == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"number":"x"}'])
def test_a_cached_routing_that_cannot_be_read_is_passed_over(tmp_path: Path, backend: Backend, content: bytes) -> None:
    (tmp_path / "routing.json").write_bytes(content)
    log = SegmentLog(tmp_path / "segments")
    loop = GatewayLoop(Gateway(log), backend.port, log, _no_model, tmp_path)
    loop.restore()
    assert loop.gateway.table.deployments == {}
    loop.stop()


def test_reports_say_when(backend: Backend, tmp_path: Path) -> None:
    log = SegmentLog(tmp_path / "segments")
    loop = GatewayLoop(Gateway(log), backend.port, log, _no_model, tmp_path, name="left")
    loop.step()
    loop.stop()
    (report,) = backend.serving.list_gateways()
    assert report.gateway == "left"
    assert report.at <= datetime.now(UTC)


def _no_model(_tree: object) -> object:
    raise AssertionError("there is no model here")
