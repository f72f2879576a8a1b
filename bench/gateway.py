"""Predictions a second through the gateway, every one of them logged, beside an empty endpoint and the bare model.

    python bench/gateway.py [--seconds 3] [--connections 8] [--json]

One row a request, over kept-alive connections from a process of its own. "empty" answers the same server with nothing
behind it; "model" is the model called in this process with a ready frame. Measured in turns, in one run.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import uvicorn
from sklearn.linear_model import LogisticRegression

from penstock.core.ids import Digest
from penstock.predictions.segment_log import SegmentLog
from penstock.registry.format.loaded import LoadedModel, load_model
from penstock.registry.format.ranking import RankingModel
from penstock.registry.format.saving import save_model
from penstock.serving.gateway import Gateway
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable
from penstock.serving.types import DeploymentRoute, RevisionRoute

ITEMS = 4_000
ROWS: dict[str, dict[str, Any]] = {
    "logistic": {f"x{number}": 0.5 for number in range(8)},
    "ranking": {"user": "c1", "recent": " ".join(f"i{number}" for number in range(20))},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options.add_argument("--load", nargs=3, metavar=("PORT", "PATH", "BODY"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.load:
        print(asyncio.run(load(int(given.load[0]), given.load[1], given.load[2], given.seconds, given.connections)))
        return
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        figures = measure(Path(folder), given.seconds, given.connections)
    if given.json:
        print(json.dumps({"bench": "gateway", "cpus": os.cpu_count(), "figures": figures}))
        return
    print(f"predictions a second, {given.connections} connections, {os.cpu_count()} cores")
    print(f"{'':>10} {'empty endpoint':>16} {'gateway':>10} {'bare model':>12}")
    for name, figure in figures.items():
        print(f"{name:>10} {figure['empty']:>16,.0f} {figure['gateway']:>10,.0f} {figure['model']:>12,.0f}")


def measure(folder: Path, seconds: float, connections: int) -> dict[str, dict[str, float]]:
    """Every figure of every model."""
    models = {"logistic": save_logistic(folder), "ranking": save_ranking(folder)}
    gateway = Gateway(SegmentLog(folder / "segments"))
    gateway.swap(RoutingTable(1, {name: deploy(name, model) for name, model in models.items()}))
    ports = {"empty": serve(empty), "gateway": serve(gateway)}
    figures: dict[str, dict[str, float]] = {name: {} for name in models}
    for name, model in models.items():
        body = json.dumps([ROWS[name]])
        for kind, port in ports.items():
            figures[name][kind] = run_load(port, f"/predict/{name}", body, seconds, connections)
        figures[name]["model"] = call_model(model, pl.DataFrame([ROWS[name]]), seconds)
    return figures


def save_logistic(folder: Path) -> LoadedModel:
    """A model of eight numbers."""
    chance = np.random.default_rng(0)
    rows = pl.DataFrame({f"x{number}": chance.normal(size=500) for number in range(8)})
    fitted = LogisticRegression().fit(rows, (rows["x0"] + rows["x1"] > 0).to_numpy().astype(int))
    save_model(fitted, folder / "logistic", task="binary", sample=rows)
    return load_model(folder / "logistic")


def save_ranking(folder: Path) -> LoadedModel:
    """A model of some thousand items."""
    chance = np.random.default_rng(0)
    neighbours = chance.integers(ITEMS, size=(ITEMS, 50)).astype(np.int32)
    model = RankingModel(
        [f"i{number}" for number in range(ITEMS)],
        prior=chance.random(ITEMS),
        repeat=np.full(ITEMS, 0.5),
        neighbours=neighbours,
        weights=chance.random((ITEMS, 50)),
        decay=0.9,
    )
    save_model(model, folder / "ranking", task="ranking", sample=pl.DataFrame([ROWS["ranking"]] * 20))
    return load_model(folder / "ranking")


def deploy(name: str, model: LoadedModel) -> LiveDeployment:
    """A deployment of one revision."""
    route = RevisionRoute(1, name, 1, Digest("0" * 64))
    return LiveDeployment(route=DeploymentRoute(deployment=name, stable=route), stable=LiveRevision(route, model))


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, answers two bytes."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def serve(app: Any) -> int:
    """The port at which an application answers, on a thread of this process."""
    settings = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", lifespan="off", log_config=None)
    server = uvicorn.Server(settings)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def run_load(port: int, path: str, body: str, seconds: float, connections: int) -> float:
    """Requests a second from another process."""
    argv = [sys.executable, __file__, "--seconds", str(seconds), "--connections", str(connections)]
    done = subprocess.run([*argv, "--load", str(port), path, body], capture_output=True, text=True, check=True)
    return float(done.stdout)


async def load(port: int, path: str, body: str, seconds: float, connections: int) -> float:
    """Ask as fast as the answers come; any answer but 200 ends it."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
    deadline = time.perf_counter() + seconds
    counts = await asyncio.gather(*(ask(port, request, deadline) for _ in range(connections)))
    return sum(counts) / seconds


async def ask(port: int, request: bytes, deadline: float) -> int:
    """One connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server answered {head.splitlines()[0].decode()}")
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        count += 1
    writer.close()
    return count


def call_model(model: LoadedModel, frame: pl.DataFrame, seconds: float) -> float:
    """Calls a second."""
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline:
        model.predict(frame)
        count += 1
    return count / seconds


if __name__ == "__main__":
    main()
