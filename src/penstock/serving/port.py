"""What a gateway needs of the server, and the services that give it."""

import shutil
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from penstock.predictions.service import PredictionService
from penstock.predictions.types import Segment
from penstock.serving.service import ServingService
from penstock.serving.types import GatewayReport, Routing
from penstock.storage.objects.object_store import ObjectStore


class GatewayPort(Protocol):
    """The server as a gateway sees it. Called from one thread; every call may be repeated.

    A call raises `UnavailableError` or `OSError` while the server is away: the gateway goes on with what it has.
    """

    def fetch_routing(self) -> Routing:
        """Where requests go now."""
        ...

    def ship_segment(self, segment: Segment, path: Path) -> None:
        """Hand over a finished segment; its object's bytes are in the file at `path`.

        Once this returns, the segment is kept there for good.
        """
        ...

    def report(self, report: GatewayReport) -> None:
        """Say how this gateway is."""
        ...


class ServicesPort:
    """The port over the services themselves, in this process or as remote proxies."""

    def __init__(self, serving: ServingService, predictions: PredictionService, objects: ObjectStore) -> None:
        self._serving = serving
        self._predictions = predictions
        self._objects = objects

    def fetch_routing(self) -> Routing:
        """Ask the serving service."""
        return self._serving.routing()

    def ship_segment(self, segment: Segment, path: Path) -> None:
        """Put the object into the store, then the segment into the database."""
        digest = self._objects.put_file(path)
        self._predictions.add_segment(replace(segment, digest=digest))

    def report(self, report: GatewayReport) -> None:
        """Tell the serving service."""
        self._serving.report_gateway(report)


class LonePort:
    """The port of a gateway that has no server: the routing never changes.

    Args:
        routing: what is served.
        folder: where finished segments of the prediction log are kept as Parquet files.
    """

    def __init__(self, routing: Routing, folder: Path) -> None:
        self._routing = routing
        self._folder = folder

    def fetch_routing(self) -> Routing:
        """Always the same."""
        return self._routing

    def ship_segment(self, segment: Segment, path: Path) -> None:
        """Keep a copy of the segment under its id."""
        partial = self._folder / f"{segment.id}.partial"
        shutil.copyfile(path, partial)
        partial.rename(self._folder / f"{segment.id}.parquet")

    def report(self, report: GatewayReport) -> None:
        """Nobody listens."""
