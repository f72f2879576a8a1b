"""Predictions a second through the gateway, beside other servers and the limits of the machine.

    python bench/serving.py [--seconds 3] [--only hgb] [--json] [--mlflow DIR] [--bentoml DIR] [--fastapi DIR]

Two classifiers of 30 numbers (histogram gradient boosting with 200 trees, logistic regression), one row and a hundred
rows a request, at one connection and at 32. `penstock serve` answers from the model directory: "fast form" by ONNX,
"logged" the same with every prediction kept, "estimator" by scikit-learn itself. Beside them an empty endpoint of the
same HTTP server, and the fast form called in this process with JSON decoded and encoded. A peer's option names the
folder of programs of an environment that has it and scikit-learn: MLflow's scoring server, BentoML with batching, a
FastAPI application as a team writes it. The load is wrk's, which has to be installed. One after the other.
"""

import argparse
import contextlib
import json
import os
import pickle
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import yaml

os.environ.setdefault("OMP_NUM_THREADS", "1")  # barriers of several threads spin where cores are shared
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

COLUMNS = [f"x{number}" for number in range(30)]
KINDS = ("hgb", "lr")
FORMS = ("empty endpoint", "fast form", "logged", "estimator")
PEERS = ("mlflow", "bentoml", "fastapi")
LOADS = ((1, 1), (1, 32), (100, 1), (100, 32))  # rows a request, connections
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


BENTO = """
import os, pickle, bentoml, numpy as np
@bentoml.service
class M:
    def __init__(self): self.model = pickle.load(open(os.environ["MODEL"], "rb"))
    @bentoml.api(batchable=True)
    def predict(self, inputs: np.ndarray) -> np.ndarray: return self.model.predict(inputs)
"""
FASTAPI = """
import os, pickle
from fastapi import FastAPI
from pydantic import BaseModel
model = pickle.load(open(os.environ["MODEL"], "rb"))
app = FastAPI()
class Asked(BaseModel):
    inputs: list[list[float]]
@app.post("/predict")
def predict(asked: Asked): return {"predictions": model.predict(asked.inputs).tolist()}
"""
SAVE_MLFLOW = """
import pickle, sys, mlflow.sklearn
model = pickle.load(open(sys.argv[1], "rb"))
mlflow.sklearn.save_model(model, sys.argv[2], serialization_format="cloudpickle")
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    options.add_argument("--only", choices=KINDS, help="one of the two models")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    for peer in PEERS:
        options.add_argument(f"--{peer}", type=Path, help="folder of programs of an environment that has it")
    options.add_argument("--empty", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.empty is not None:
        from penstock.processes.http_server import run_uvicorn

        run_uvicorn(empty, socket.socket(fileno=given.empty))
        return
    peers = {peer: programs for peer in PEERS if (programs := getattr(given, peer)) is not None}
    figures = {}
    for kind in [given.only] if given.only else KINDS:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            figures[kind] = measure(kind, Path(folder), given.seconds, peers)
    if given.json:
        print(json.dumps({"bench": "serving", "cpus": os.cpu_count(), "figures": figures}))
        return
    print(f"{os.cpu_count()} cores, {platform.machine()}; requests a second, median and p99 in ms, MB of the process")
    for kind, rows in figures.items():
        print(f"\n{kind:<20}" + "".join(f"{f'{n} row(s), {c} conn.':>28}" for n, c in LOADS) + f"{'MB':>8}")
        for form, cells in rows.items():
            shown = "".join(f"{c['rps']:>12,.0f}{c['p50']:>8.2f}{c['p99']:>8.2f}" for c in cells["loads"])
            print(f"{form:<20}{shown}{cells.get('mb', 0):>8.0f}")


def measure(kind: str, folder: Path, seconds: float, peers: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Every figure of one model."""
    rows = make_model(kind, folder)
    for count, _ in LOADS:
        (folder / f"body{count}").write_text(json.dumps({"inputs": rows[:count].tolist()}))
    found: dict[str, dict[str, Any]] = {"in process": {"loads": [call(folder, count, seconds) for count, _ in LOADS]}}
    for name, opened in [
        *((form, running(form, folder)) for form in FORMS),
        *((peer, running_peer(peer, programs, folder)) for peer, programs in peers.items()),
    ]:
        with opened as (url, process):
            load(folder, url, 1, 8, 1.0)  # it learns how fast its model is
            found[name] = {"loads": [load(folder, url, *size, seconds) for size in LOADS], "mb": read_mb(process.pid)}
    return found


def make_model(kind: str, folder: Path) -> np.ndarray:
    """Fit the model, and keep it as a pickle and as model directories; the rows it was fitted on."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    from penstock.registry.format.saving import save_model

    chance = np.random.default_rng(0)
    rows = chance.normal(size=(20_000, len(COLUMNS)))
    labels = (rows[:, :3].sum(1) + chance.normal(size=len(rows)) > 0).astype(int)
    boosting = HistGradientBoostingClassifier(max_iter=200, early_stopping=False, random_state=0)
    model = (boosting if kind == "hgb" else LogisticRegression(max_iter=500)).fit(rows, labels)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    info = save_model(model, folder / "model", task="binary", sample=pl.DataFrame(rows[:2_000], schema=COLUMNS))
    if info.fast_form is None or not info.fast_form.used:
        raise SystemExit(f"there is no fast form: {info.fast_form}")
    shutil.copytree(folder / "model", folder / "estimator")
    described = yaml.safe_load((folder / "model" / "MLmodel").read_text())
    described["flavors"]["penstock"]["fast_form"] = None
    (folder / "estimator" / "MLmodel").write_text(yaml.safe_dump(described))
    return rows


def call(folder: Path, count: int, seconds: float) -> dict[str, float]:
    """The fast form in this process, with JSON in and out."""
    from penstock.registry.format.loaded import load_model

    model, body = load_model(folder / "model"), (folder / f"body{count}").read_bytes()
    calls, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds / 2:
        found = model.predict_arrays(np.array(msgspec.json.decode(body)["inputs"]))
        msgspec.json.encode({name: values.tolist() for name, values in found.items()})
        calls += 1
    return {"rps": calls / took, "p50": took / calls * 1000, "p99": took / calls * 1000}


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, answers two bytes."""
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})


@contextlib.contextmanager
def running(form: str, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server of ours, where it answers, and its process."""
    from penstock.processes.listener import open_listener

    if form == "empty endpoint":
        with open_listener("127.0.0.1", 0, what="bench", option="--port") as listener:
            argv = [sys.executable, __file__, "--empty", str(listener.fileno())]
            process = subprocess.Popen(argv, pass_fds=[listener.fileno()])
            with ended(process):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/", process
        return
    model = folder / ("estimator" if form == "estimator" else "model")
    kept = ["--log", folder / "log"] if form == "logged" else []
    argv = [sys.executable, "-m", "penstock", "serve", model, "--port", "0", "--name", "model", "--json", *kept]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    with ended(process):
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"] + "/invocations", process


@contextlib.contextmanager
def running_peer(peer: str, programs: Path, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Another server of the same model, where it answers, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (folder / "bento_service.py").write_text(BENTO)
    (folder / "fastapi_app.py").write_text(FASTAPI)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MODEL": str(folder / "model.pkl"),
        "BENTOML_HOME": str(folder / "bento"),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    environment.pop("PYTHONPATH", None)
    if peer == "mlflow":
        saving = [programs / "python", "-c", SAVE_MLFLOW, folder / "model.pkl", folder / "mlflow"]
        subprocess.run(saving, check=True, env=environment)
    argv, path = {
        "mlflow": (["mlflow", "models", "serve", "-m", "mlflow", "--env-manager", "local", "-p", port], "invocations"),
        "bentoml": (["bentoml", "serve", "bento_service:M", "--host", "127.0.0.1", "--port", port], "predict"),
        "fastapi": (["uvicorn", "fastapi_app:app", "--port", port, "--no-access-log"], "predict"),
    }[peer]
    process = subprocess.Popen(
        [programs / argv[0], *argv[1:]],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ended(process):
        url = f"http://127.0.0.1:{port}/{path}"
        wait_for(url, (folder / "body1").read_bytes())
        yield url, process


def wait_for(url: str, body: bytes) -> None:
    """Wait until a request is answered."""
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(asked, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The process is asked to end after the block, and waited for."""
    try:
        yield
    finally:
        if os.getpgid(process.pid) == process.pid:  # a server of several processes
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
        process.wait(30)


def load(folder: Path, url: str, count: int, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second with wrk; any answer but 200 ends it."""
    script = folder / "load.lua"
    script.write_text(WRK.format(body=folder / f"body{count}"))
    argv: Sequence[str] = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
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
