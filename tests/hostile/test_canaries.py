"""Hostile models in nine formats through every feature: nothing in them runs, unless somebody vouches for it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hostile.canaries import CODE, FORMATS, SAMPLE, trusted_pickle
from patience import PATIENCE_S
from penstock.core.errors import PenstockError
from penstock.registry.loading import Vetting, lay_out, open_tree
from penstock.registry.runner.process import ModelProcess, RunnerSettings
from penstock.registry.trust.types import NotTrustedError
from penstock.remote.remote import open_remote
from penstock.sdk.load import load_model
from penstock.storage.objects.open import open_object_store
from server.mlflow.artifact_server import ServerProcess, run_server


class Trap:
    """What a canary would touch."""

    def __init__(self, folder: Path) -> None:
        self.marker = folder / "marker"
        self.secret = folder / "home" / "secret"
        self.secret.parent.mkdir(exist_ok=True)
        self.secret.write_text("secret")
        self.calls = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()
        port = self._listener.getsockname()[1]
        self.code = CODE.format(marker=str(self.marker), port=port, secret=str(self.secret))

    def assert_untouched(self) -> None:
        assert not self.marker.exists()
        assert self.calls == 0

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _count(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            caller.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canaries")


@pytest.fixture(scope="module")
def trap(place: Path) -> Iterator[Trap]:
    trap = Trap(place)
    yield trap
    trap.close()


@pytest.fixture(scope="module")
def server(place: Path, trap: Trap) -> Iterator[ServerProcess]:
    with run_server(place / "home") as server:
        yield server


def upload(server: ServerProcess, folder: Path, name: str) -> None:
    """Log, register and promote a model directory as an MLflow client does."""
    root = server.create_run()
    run_id = root.split("/")[-2]
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = server.artifact(f"{root}/model/{path.relative_to(folder).as_posix()}")
        assert httpx.put(target, content=path.read_bytes()).status_code == 200
    api = f"{server.url}/api/2.0/mlflow"
    assert httpx.post(f"{api}/registered-models/create", json={"name": name}).status_code == 200
    source = {"name": name, "source": f"mlflow-artifacts:/{root}/model", "run_id": run_id}
    made = httpx.post(f"{api}/model-versions/create", json=source)
    assert made.status_code == 200, made.text
    alias = {"name": name, "alias": "champion", "version": "1"}
    assert httpx.post(f"{api}/registered-models/alias", json=alias).status_code == 200


def command(place: Path, server: ServerProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return subprocess.run(
        [sys.executable, "-m", "penstock", *arguments, "--url", server.url],
        env=kept | {"PENSTOCK_HOME": str(place / "home")},
        cwd=place,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_in_a_hostile_model_runs(place: Path, server: ServerProcess, trap: Trap, name: str) -> None:
    folder = place / "made" / name
    FORMATS[name](folder, trap.code)
    upload(server, folder, name)
    for page in ("/models", f"/models/{name}", f"/models/{name}/1"):
        assert httpx.get(f"{server.url}{page}").status_code == 200
    services = open_remote(server.url, token="", actor="tester")
    try:
        version = services.registry.resolve(f"models:/{name}@champion")
        objects = open_object_store(place / "home" / "objects")
        with pytest.raises(PenstockError):
            load_model(f"models:/{name}@champion", services=services, cache=place / "cache")
        settings = RunnerSettings(folder=place / "runners", environments=place / "environments")
        vetting = Vetting(find_standing=services.trust.get_standing, settings=settings)
        with pytest.raises(PenstockError):
            open_tree(objects, version.get_tree(), place / "cache", vetting)
        assert lay_out(objects, version.get_tree(), place / "exported").is_dir()
    finally:
        services.close()
    trap.assert_untouched()


@pytest.mark.slow
def test_the_command_line_runs_nothing_either(place: Path, server: ServerProcess, trap: Trap) -> None:
    folder = place / "typed"
    trusted_pickle(folder, trap.code)
    upload(server, folder, "typed")
    shown = command(place, server, "models", "show", "champion", "--model", "typed")
    assert shown.returncode == 0, shown.stderr
    for target in ("models:/typed/1", str(folder)):
        served = command(place, server, "serve", target, "--port", "0")
        assert served.returncode == 1
        assert "executes code, and nobody vouches for it" in served.stderr
        assert "penstock models trust" in served.stderr
    trap.assert_untouched()


@pytest.mark.slow
def test_code_that_somebody_vouches_for_reaches_nothing(place: Path, server: ServerProcess, trap: Trap) -> None:
    folder = place / "vouched"
    trusted_pickle(folder, trap.code)
    upload(server, folder, "vouched")
    services = open_remote(server.url, token="", actor="tester")
    try:
        version = services.registry.resolve("models:/vouched@champion")
        settings = RunnerSettings(
            folder=place / "runners", environments=place / "environments", forbidden=(trap.secret,)
        )
        vetting = Vetting(find_standing=services.trust.get_standing, settings=settings)
        objects, cache = open_object_store(place / "home" / "objects"), place / "cache"
        with pytest.raises(NotTrustedError, match="nobody vouches for it"):
            open_tree(objects, version.get_tree(), cache, vetting)
        services.trust.trust(version.get_tree(), "it is a test")
        model = open_tree(objects, version.get_tree(), cache, vetting)
        assert isinstance(model, ModelProcess)
        try:
            assert model.predict(SAMPLE)["prediction"].round(6).to_list() == [1.0, 2.0, 3.0, 4.0]
            (log,) = (place / "runners").glob("*/output.log")
            assert "canary: PermissionError PermissionError PermissionError" in log.read_text()
        finally:
            model.close()
        services.trust.distrust(version.get_tree(), "it was a test")
        with pytest.raises(NotTrustedError, match="withdrew the trust in it: it was a test"):
            open_tree(objects, version.get_tree(), cache, vetting)
    finally:
        services.close()
    trap.assert_untouched()
