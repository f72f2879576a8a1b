"""A model in a process of its own: its answers, its ends, and that it never takes anybody with it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

from patience import PATIENCE_S
from penstock.compute.sandbox.types import MIB, Limits
from penstock.core.errors import InvalidInputError, PenstockError
from penstock.registry.runner.process import ModelDiedError, ModelProcess, ModelRaisedError, RunnerSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no sandbox but on Linux")
HERE = Path(__file__).parent


def open_odd(folder: Path, loader: str = "load", **settings: Any) -> ModelProcess:
    given = {"predict_s": 20.0, "first_pause_s": 0.05} | settings
    model = folder / "model"
    model.mkdir(exist_ok=True)
    where = RunnerSettings(folder=folder / "runners", environments=folder / "environments", **given)
    return ModelProcess(model, where, loader=f"odd_models:{loader}", paths=(HERE,))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    model = open_odd(tmp_path_factory.mktemp("odd"))
    yield model
    model.close()


def rows(do: str | None = None, n: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"x": [float(place) for place in range(n)], "do": [do] * n}, schema_overrides={"do": pl.String})


def test_it_answers_as_the_model_does(odd: ModelProcess) -> None:
    assert odd.task == "regression"
    assert [column.name for column in odd.signature.inputs] == ["x", "do"]
    assert odd.predict(rows()).to_dict(as_series=False) == {"prediction": [0.0, 2.0, 4.0]}
    arrays = odd.predict_arrays(np.array([[1.0, 0.0], [np.nan, 0.0]]))
    np.testing.assert_array_equal(arrays["prediction"], [2.0, np.nan])
    assert np.asarray(arrays["pair"]).shape == (2, 2)
    assert odd.predict_arrays(np.array([[1.0]], dtype=np.float32))["prediction"].dtype == np.float32  # type: ignore[union-attr]


def test_every_kind_of_column_comes_back(odd: ModelProcess) -> None:
    assert odd.predict(rows("kinds", 4)).to_dict(as_series=False) == {
        "whole": [0, 1, 2, 3],
        "flag": [True, False, True, False],
        "text": ["é"] * 4,
        "gap": [None, 1.5, 1.5, 1.5],
        "probabilities": [[0.25, 0.75]] * 4,
        "items": [["a"], ["a", "b"], ["a"], ["a", "b"]],
    }


def test_errors_come_back_as_ours_and_the_process_goes_on(odd: ModelProcess) -> None:
    pid = odd.pid
    with pytest.raises(InvalidInputError, match="is no good; send another") as refused:
        odd.predict(rows("refuse"))
    assert refused.value.field == "rows[0].x"
    with pytest.raises(ModelRaisedError, match="the model failed: ZeroDivisionError: oh"):
        odd.predict(rows("fail"))
    assert odd.pid == pid


@pytest.mark.parametrize(
    ("do", "why"),
    [
        ("crash", "SIGSEGV"),
        ("flood", "is not taken"),
    ],
)
def test_a_process_that_dies_or_lies_is_replaced(odd: ModelProcess, do: str, why: str) -> None:
    assert odd.wait_until_ready(60)
    before = odd.pid
    with pytest.raises(ModelDiedError, match=why):
        odd.predict(rows(do))
    assert odd.wait_until_ready(60)
    assert odd.pid != before
    assert odd.predict(rows()).height == 3


def test_endless_memory_is_not_given(tmp_path: Path) -> None:
    model = open_odd(tmp_path, limits=Limits(address_space_bytes=3 * 1024 * MIB))
    try:
        with pytest.raises(ModelRaisedError, match="MemoryError"):
            model.predict(rows("swell"))
        assert model.predict(rows()).height == 3
    finally:
        model.close()


def test_an_endless_loop_is_ended(tmp_path: Path) -> None:
    model = open_odd(tmp_path, predict_s=1.0)
    try:
        with pytest.raises(ModelDiedError, match="took longer than 1 s"):
            model.predict(rows("loop"))
    finally:
        model.close()


def test_calls_fail_at_once_while_there_is_no_process(tmp_path: Path) -> None:
    model = open_odd(tmp_path, first_pause_s=600.0, last_pause_s=600.0)
    try:
        assert model.pid is not None
        os.kill(model.pid, signal.SIGKILL)
        with pytest.raises(ModelDiedError, match=r"SIGKILL|closed"):
            _call_until_it_fails(model)
        with pytest.raises(ModelDiedError, match="not there just now"):
            model.predict(rows())
    finally:
        model.close()


def test_many_threads_call_at_once(odd: ModelProcess) -> None:
    assert odd.wait_until_ready(60)

    def ask(number: int) -> bool:
        frame = pl.DataFrame({"x": [float(number)] * (1 + number % 5)})
        return odd.predict(frame)["prediction"].to_list() == [2.0 * number] * (1 + number % 5)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(500)))


def test_closing_waits_for_the_call_under_way_and_leaves_nothing(tmp_path: Path) -> None:
    model = open_odd(tmp_path)
    pid, answers = model.pid, []
    assert pid is not None
    caller = threading.Thread(target=lambda: answers.append(model.predict(rows("sleep"))))
    caller.start()
    time.sleep(0.1)
    inside = psutil.Process(pid).children(recursive=True)
    model.close()
    caller.join()
    assert [answer.height for answer in answers] == [3]
    assert psutil.wait_procs(inside, timeout=PATIENCE_S)[1] == []
    assert list((tmp_path / "runners").iterdir()) == []
    with pytest.raises(ModelDiedError):
        model.predict(rows())


def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="No module named 'churnlib'"):
        open_odd(tmp_path, "load_badly")
    with pytest.raises(ModelDiedError, match=r"died while it was loaded.*SIG"):
        open_odd(tmp_path, "load_and_crash")
    with pytest.raises(ModelDiedError, match="not loaded within 3 s"):
        open_odd(tmp_path, "load_for_ever", load_s=3.0)
    assert list((tmp_path / "runners").iterdir()) == []


def test_folders_of_killed_owners_are_swept(tmp_path: Path) -> None:
    left = tmp_path / "runners" / "999999999-x"
    left.mkdir(parents=True)
    kept = tmp_path / "runners" / f"{os.getppid()}-x"
    kept.mkdir()
    open_odd(tmp_path).close()
    assert not left.exists()
    assert kept.exists()


def _call_until_it_fails(model: ModelProcess) -> None:
    for _ in range(1000):
        model.predict(rows())
        time.sleep(0.01)
