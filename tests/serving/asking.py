"""Asks a gateway in this process, many requests in one turn of the event loop; and models that can be watched."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from patience import PATIENCE_S
from penstock.core.ids import Digest
from penstock.predictions.records import read_records
from penstock.predictions.segment_log import SegmentLog
from penstock.registry.format.types import Column, Signature
from penstock.serving.gateway import Gateway, GatewayLimits
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable
from penstock.serving.types import DeploymentRoute, RevisionRoute


class Reply(Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return msgspec.json.decode(self.body)


async def ask(gateway: Gateway, path: str, body: Any = None, **headers: str) -> Reply:
    """One request, as a server would pass it on; GET when there is no body."""
    sent: list[Any] = []
    content = b"" if body is None else msgspec.json.encode(body)

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET" if body is None else "POST", "path": path, "headers": named}
    await gateway(scope, receive, send)
    start, end = sent
    given = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], given, end["body"])


def ask_all(gateway: Gateway, path: str, bodies: Sequence[Any]) -> list[Reply]:
    """Requests that come in together."""

    async def run() -> list[Reply]:
        return await asyncio.gather(*(ask(gateway, path, body) for body in bodies))

    return asyncio.run(run())


class Adder:
    """Adds up the numbers of a row; refuses to answer where a row holds a negative one, and may be slow."""

    task = "regression"
    signature = Signature((Column("a", "double"), Column("b", "double")), (Column("prediction", "double"),))

    def __init__(self, *, row_s: float = 0.0, error: Callable[[], Exception] = lambda: ZeroDivisionError("no")) -> None:
        self.batches: list[int] = []
        self.row_s = row_s
        self.error = error
        self.may_go = threading.Event()
        self.may_go.set()

    def predict_arrays(self, matrix: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The sums."""
        self.may_go.wait(PATIENCE_S)
        self.batches.append(len(matrix))
        if self.row_s:
            time.sleep(self.row_s * len(matrix))
        if (matrix < 0).any():
            raise self.error()
        return {"prediction": matrix.sum(axis=1)}

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Not asked of a model that takes arrays."""
        raise NotImplementedError


def open_gateway(folder: Path, limits: GatewayLimits | None = None, **models: Any) -> tuple[Gateway, SegmentLog]:
    """A gateway that serves each model under its name."""
    log = SegmentLog(folder / "segments", rotate_after_s=3600)
    gateway = Gateway(log, limits=limits)
    table = {}
    for name, model in models.items():
        route = RevisionRoute(1, name, 1, Digest("0" * 64))
        stable = LiveRevision(route, model)
        table[name] = LiveDeployment(route=DeploymentRoute(deployment=name, stable=route), stable=stable)
    gateway.swap(RoutingTable(1, table))
    return gateway, log


def read_log(log: SegmentLog) -> pl.DataFrame:
    """What is in the log, by prediction id."""
    log.rotate()
    contents = [read_records(path) for path in log.list_closed()]
    frames = [
        content.frame().with_columns(pl.format("{}-{}", pl.lit(content.header.id), "row").alias("id"))
        for content in contents
    ]
    return pl.concat(frames) if frames else pl.DataFrame()
