"""What a canary, a shadow and swaps cost those who ask: p99 of requests at a constant rate, in turns.

    python bench/releases.py [--rate 300] [--seconds 6] [--rounds 5] [--only FORM] [--ways WAY ...] [--json]

One gateway worker, one row a request, sent at fixed moments whatever became of those before, so that a gateway that
stops for a moment is seen. "plain" serves one revision, "canary" two at half the traffic each, "shadow" gives a second
one copies, and "swaps" goes to another revision and back ten times a second. Both forms of `serving.py`: by ONNX, and
by scikit-learn itself. The figures are medians over the rounds, in which the four take turns.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from serving import ended, make_model

FORMS = ("fast form", "estimator")
WAYS = ("plain", "canary", "shadow", "swaps")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=float, default=300.0, help="requests a second")
    options.add_argument("--seconds", type=float, default=6.0, help="of each turn")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", choices=FORMS, help="one of the two forms")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="beside plain, which is always one")
    options.add_argument("--kind", choices=("hgb", "lr"), default="hgb")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options.add_argument("--serve", nargs=4, metavar=("FORM", "WAY", "FOLDER", "FD"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        form, way, folder, descriptor = given.serve
        serve(form, way, Path(folder), int(descriptor))
        return
    figures = {}
    ways = tuple(way for way in WAYS if way == "plain" or way in given.ways)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        row = make_model(given.kind, Path(folder))[0].tolist()
        body = json.dumps({"inputs": [row]}).encode()
        for form in [given.only] if given.only else FORMS:
            figures[form] = measure(form, Path(folder), body, given.rate, given.seconds, given.rounds, ways)
    if given.json:
        print(json.dumps({"bench": "releases", "cpus": os.cpu_count(), "rate": given.rate, "figures": figures}))
        return
    print(
        f"{os.cpu_count()} cores, {given.kind}, {given.rate:g} requests a second; p50 and p99 in ms, p99 against plain"
    )
    for form, ways in figures.items():
        for way, found in ways.items():
            against = found["p99"] / ways["plain"]["p99"] - 1
            print(f"{form:<12}{way:<10}{found['p50']:>8.2f}{found['p99']:>8.2f}{against:>+8.1%}")


def measure(
    form: str, folder: Path, body: bytes, rate: float, seconds: float, rounds: int, ways: tuple[str, ...]
) -> dict[str, Any]:
    """Medians of each way over the rounds."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                argv = [sys.executable, __file__, "--serve", form, way, str(folder), str(listener.fileno())]
                port = listener.getsockname()[1]
                with ended(subprocess.Popen(argv, pass_fds=[listener.fileno()])):
                    asyncio.run(load(port, body, rate, 2.0))
                    found[way].append(asyncio.run(load(port, body, rate, seconds)))
    return {
        way: {"p50": statistics.median(p50 for p50, _ in turns), "p99": statistics.median(p99 for _, p99 in turns)}
        for way, turns in found.items()
    }


async def load(port: int, body: bytes, rate: float, seconds: float) -> tuple[float, float]:
    """p50 and p99 in ms of requests at a constant rate; the time counts from when each should have gone out."""
    head = "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    took: list[float] = []

    async def ask(due: float) -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        text = await reader.readexactly(length)
        if b" 429 " not in answer[:13] and b" 200 " not in answer[:13]:  # a machine busy with other things sheds
            raise SystemExit(f"the load failed: {text[:200]!r}")
        took.append(time.perf_counter() - due)
        idle.append((reader, writer))

    began, asking = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        asking.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*asking)
    for _, writer in idle:
        writer.close()
    took.sort()
    return took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000


def serve(form: str, way: str, folder: Path, descriptor: int) -> None:
    """Answer on a socket in this process, as a gateway worker does."""
    from penstock.core.config import Config
    from penstock.core.ids import Digest
    from penstock.predictions.compactor import Compactor
    from penstock.predictions.segment_log import SegmentLog
    from penstock.processes.gateway import guard
    from penstock.processes.gateway_workers import run_gateway
    from penstock.registry.format.loaded import load_model
    from penstock.serving.gateway import Gateway
    from penstock.serving.gateway_loop import GatewayLoop
    from penstock.serving.port import LonePort
    from penstock.serving.types import DeploymentRoute, RevisionRoute, Routing

    def open_model(_: Digest) -> Any:
        return load_model(folder / ("estimator" if form == "estimator" else "model"))

    class Swapping(LonePort):
        """Goes to the other revision and back."""

        def fetch_routing(self) -> Routing:
            number = int(time.monotonic() * 10)
            ways = (routes["there"], routes["back"])
            return Routing(number, (ways[number % 2],))

    first, second = (RevisionRoute(number, "model", number, Digest(str(number) * 64)) for number in (1, 2))
    routes = {
        "plain": DeploymentRoute(deployment="model", stable=first),
        "canary": DeploymentRoute(deployment="model", stable=first, candidate=second, share=0.5),
        "shadow": DeploymentRoute(deployment="model", stable=first, shadow=second),
        "there": DeploymentRoute(deployment="model", stable=first, previous=second),
        "back": DeploymentRoute(deployment="model", stable=second, previous=first),
    }
    place = Path(tempfile.mkdtemp(dir=folder))
    log, compactor = SegmentLog(place / "segments"), Compactor()
    gateway = Gateway(log)
    port = Swapping(Routing(), place) if way == "swaps" else LonePort(Routing(1, (routes[way],)), place)
    loop = GatewayLoop(gateway, port, log, open_model, place, compact=compactor.compact, poll_s=0.1)
    loop.step()
    run_gateway(gateway, loop, guard(gateway, Config()), socket.socket(fileno=descriptor))
    compactor.close()


if __name__ == "__main__":
    main()
