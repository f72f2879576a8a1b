"""Predictions a second through the gateway, every one of them logged and shipped, beside the limits of the machine.

    python bench/serving.py [--seconds 3] [--mlflow DIR] [--only hgb] [--json]

Two classifiers of 30 numbers (histogram gradient boosting with 200 trees, logistic regression), one row and a hundred
rows a request, at one connection and at 32. "fast form" answers by ONNX on arrays, "estimator" by scikit-learn itself,
"no log" keeps nothing; beside them an empty endpoint of the same server, and the model called in this process as ONNX
with JSON decoded and encoded. `--mlflow` names the folder of programs of an environment with MLflow and scikit-learn;
its scoring server is measured in the same run. The load is wrk's, which has to be installed. Measured in turns.
"""

import argparse
import contextlib
import json
import os
import pickle
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")  # barriers of several threads spin where cores are shared
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

COLUMNS = [f"x{number}" for number in range(30)]
KINDS = ("hgb", "lr")
FORMS = ("empty endpoint", "fast form", "no log", "estimator")
LOADS = ((1, 1), (1, 32), (100, 32))  # rows a request, connections
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency, requests)
  io.write(string.format("FIGURES %d %d %d %.3f %.3f\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.timeout, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    options.add_argument("--mlflow", type=Path, help="folder with the program 'mlflow'")
    options.add_argument("--only", choices=KINDS, help="one of the two models")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options.add_argument("--serve", nargs=3, metavar=("FORM", "FOLDER", "FD"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve[0], Path(given.serve[1]), int(given.serve[2]))
        return
    figures = {}
    for kind in [given.only] if given.only else KINDS:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            figures[kind] = measure(kind, Path(folder), given.seconds, given.mlflow)
    if given.json:
        print(json.dumps({"bench": "serving", "cpus": os.cpu_count(), "figures": figures}))
        return
    print(f"{os.cpu_count()} cores, {platform.machine()}; requests a second, median and p99 in ms, MB a process")
    for kind, rows in figures.items():
        print(f"\n{kind:<20}" + "".join(f"{f'{n} row(s), {c} conn.':>28}" for n, c in LOADS) + f"{'MB':>8}")
        for form, cells in rows.items():
            shown = "".join(f"{c['rps']:>12,.0f}{c['p50']:>8.2f}{c['p99']:>8.2f}" for c in cells["loads"])
            print(f"{form:<20}{shown}{cells.get('mb', 0):>8.0f}")


def measure(kind: str, folder: Path, seconds: float, mlflow: Path | None) -> dict[str, dict[str, Any]]:
    """Every figure of one model."""
    rows = make_model(kind, folder)
    for count, _ in LOADS:
        (folder / f"body{count}").write_text(json.dumps({"inputs": rows[:count].tolist()}))
    found: dict[str, dict[str, Any]] = {"in process, ONNX": {"loads": [call(folder, *load, seconds) for load in LOADS]}}
    for form in FORMS:
        with running(form, folder) as (port, process):
            found[form] = {"loads": [load(folder, port, *size, seconds) for size in LOADS], "mb": read_mb(process.pid)}
    if mlflow is not None:
        with running_mlflow(mlflow, folder) as (port, process):
            found["MLflow"] = {"loads": [load(folder, port, *size, seconds) for size in LOADS]}
    return found


def make_model(kind: str, folder: Path) -> np.ndarray:
    """Fit the model, and keep it as a pickle and as ONNX; the rows it was fitted on."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    chance = np.random.default_rng(0)
    rows = chance.normal(size=(20_000, len(COLUMNS)))
    labels = (rows[:, :3].sum(1) + chance.normal(size=len(rows)) > 0).astype(int)
    boosting = HistGradientBoostingClassifier(max_iter=200, early_stopping=False, random_state=0)
    model = (boosting if kind == "hgb" else LogisticRegression(max_iter=500)).fit(rows, labels)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "model.onnx").write_bytes(to_onnx(model))
    return rows


def to_onnx(model: Any) -> bytes:
    """The model as ONNX; the converter hands truth values to a library that takes integers only."""
    import onnx.helper
    import skl2onnx

    plain = onnx.helper.make_attribute

    def make_attribute(name: str, value: Any, *rest: Any, **named: Any) -> Any:
        value = (
            [int(v) if isinstance(v, (bool, np.bool_, np.integer)) else v for v in value]
            if isinstance(value, list)
            else value
        )
        return plain(name, value, *rest, **named)

    onnx.helper.make_attribute = make_attribute
    try:
        sample = np.zeros((1, len(COLUMNS)), np.float32)
        converted = skl2onnx.to_onnx(model, sample, options={id(model): {"zipmap": False}})
    finally:
        onnx.helper.make_attribute = plain
    return bytes(converted.SerializeToString())


class FastModel:
    """The model by ONNX on arrays."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def predict_arrays(self, matrix: np.ndarray) -> dict[str, np.ndarray]:
        """Classes, and the chance of the second one."""
        classes, chances = self._session.run(None, {self._input: matrix.astype(np.float32)})
        return {"prediction": classes, "score": chances[:, 1].astype(np.float64)}


class Estimator:
    """The model by scikit-learn."""

    def __init__(self, path: Path) -> None:
        self._model = pickle.loads(path.read_bytes())

    def predict_arrays(self, matrix: np.ndarray) -> dict[str, np.ndarray]:
        """Classes, and the chance of the second one."""
        return {"prediction": self._model.predict(matrix), "score": self._model.predict_proba(matrix)[:, 1]}


def call(folder: Path, count: int, connections: int, seconds: float) -> dict[str, float]:
    """The model in this process, with JSON in and out."""
    model, body = FastModel(folder / "model.onnx"), (folder / f"body{count}").read_bytes()
    calls, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds / 2:
        found = model.predict_arrays(np.array(json.loads(body)["inputs"]))
        json.dumps({name: values.tolist() for name, values in found.items()})
        calls += 1
    return {"rps": calls / took, "p50": took / calls * 1000, "p99": took / calls * 1000}


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, answers two bytes."""
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})


def serve(form: str, folder: Path, descriptor: int) -> None:
    """Answer on a socket in this process, as a gateway worker does."""
    from penstock.core.config import Config
    from penstock.core.ids import Digest, PredictionId
    from penstock.predictions.blocks import Block, Columns
    from penstock.predictions.segment_log import SegmentLog
    from penstock.processes.gateway import guard
    from penstock.processes.gateway_workers import run_gateway
    from penstock.processes.serve import run_uvicorn
    from penstock.registry.format.types import Column, Signature
    from penstock.serving.gateway import Gateway
    from penstock.serving.gateway_loop import GatewayLoop
    from penstock.serving.port import LonePort
    from penstock.serving.types import DeploymentRoute, RevisionRoute, Routing

    class NoLog(SegmentLog):
        """Gives ids and writes nothing."""

        def append(self, deployment: str, block: Block, columns: Columns | None = None) -> list[PredictionId]:
            return [PredictionId(f"01m8ca4xax7je6ybb8adtx2xcj-{number}") for number in range(block.rows)]

    listener = socket.socket(fileno=descriptor)
    if form == "empty endpoint":
        run_uvicorn(empty, listener)
        return
    model: Any = Estimator(folder / "model.pkl") if form == "estimator" else FastModel(folder / "model.onnx")
    outputs = (Column("prediction", "long"), Column("score", "double"))
    model.task, model.signature = "binary", Signature(tuple(Column(name, "double") for name in COLUMNS), outputs)
    place = Path(tempfile.mkdtemp(dir=folder))
    log = (NoLog if form == "no log" else SegmentLog)(place / "segments")
    gateway = Gateway(log)
    route = DeploymentRoute(deployment="model", stable=RevisionRoute(1, "model", 1, Digest("")))
    loop = GatewayLoop(gateway, LonePort(Routing(1, (route,)), place), log, lambda tree: model, place)
    loop.step()
    run_gateway(gateway, loop, guard(gateway, Config()), listener)


@contextlib.contextmanager
def running(form: str, folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server process, and its port."""
    from penstock.processes.listener import open_listener

    with open_listener("127.0.0.1", 0, what="bench", option="--port") as listener:
        argv = [sys.executable, __file__, "--serve", form, str(folder), str(listener.fileno())]
        process = subprocess.Popen(argv, pass_fds=[listener.fileno()])
        port = listener.getsockname()[1]
        with ended(process):
            load(folder, port, 1, 8, 1.0)  # it learns how fast its model is
            yield port, process


@contextlib.contextmanager
def running_mlflow(programs: Path, folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """MLflow's scoring server of the same model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    save = (
        "import pickle, sys, mlflow.sklearn as m; model = pickle.load(open(sys.argv[1], 'rb'));"
        "m.save_model(model, sys.argv[2], serialization_format='cloudpickle')"
    )
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(
        [programs / "python", "-c", save, folder / "model.pkl", folder / "mlflow"], check=True, env=environment
    )
    argv = [programs / "mlflow", "models", "serve", "-m", folder / "mlflow", "--env-manager", "local", "-p", str(port)]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.2)
        load(folder, port, 1, 8, 1.0)
        yield port, process


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The process is asked to end after the block, and waited for."""
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def load(folder: Path, port: int, count: int, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second with wrk; any answer but 200 ends it."""
    script = folder / "load.lua"
    script.write_text(WRK.format(body=folder / f"body{count}"))
    argv: Sequence[str] = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    url = f"http://127.0.0.1:{port}/invocations"
    done = subprocess.run([*argv, "-s", str(script), url], capture_output=True, text=True, check=True)
    figures = re.search(r"FIGURES (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", done.stdout)
    if figures is None or int(figures[3]):
        raise SystemExit(f"the load failed: {done.stdout}{done.stderr}")
    return {"rps": int(figures[1]) / int(figures[2]) * 1e6, "p50": float(figures[4]), "p99": float(figures[5])}


def read_mb(pid: int) -> float:
    """Memory that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
