"""Models that a process of their own loads in tests; each does something that a model should not."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column, ModelInfo, Signature
from penstock.registry.runner import wire

INFO = ModelInfo(
    flavor="odd",
    task="regression",
    signature=Signature(
        (Column("x", "double"), Column("do", "string", required=False)), (Column("prediction", "double"),)
    ),
)


class Odd:
    """Doubles `x`, unless `do` says otherwise."""

    info = INFO
    takes_arrays = True

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        for order in frame["do"].drop_nulls().unique() if "do" in frame.columns else ():
            found = getattr(self, order)(frame)
            if found is not None:
                return found
        return frame.select(prediction=pl.col("x") * 2)

    def predict_arrays(self, matrix: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"prediction": matrix[:, 0] * 2, "pair": np.stack([matrix[:, 0], matrix[:, 0]], axis=1)}

    def kinds(self, frame: pl.DataFrame) -> pl.DataFrame:
        n = frame.height
        return pl.DataFrame(
            {
                "whole": pl.Series(range(n), dtype=pl.Int64),
                "flag": [place % 2 == 0 for place in range(n)],
                "text": ["é"] * n,
                "gap": [None, *[1.5] * (n - 1)],
                "probabilities": [[0.25, 0.75]] * n,
                "items": [["a", "b"][: 1 + place % 2] for place in range(n)],
            }
        )

    def refuse(self, frame: pl.DataFrame) -> None:
        raise InvalidInputError("rows[0].x: is no good", hint="send another", field="rows[0].x")

    def fail(self, frame: pl.DataFrame) -> None:
        raise ZeroDivisionError("oh")

    def crash(self, frame: pl.DataFrame) -> None:
        import ctypes

        ctypes.string_at(0)

    def loop(self, frame: pl.DataFrame) -> None:
        while True:
            pass

    def sleep(self, frame: pl.DataFrame) -> None:
        time.sleep(0.5)

    def swell(self, frame: pl.DataFrame) -> None:
        held = [bytearray(2**28) for _ in range(1000)]
        raise AssertionError(len(held))

    def flood(self, frame: pl.DataFrame) -> None:
        self._say(wire._HEADER.pack(wire.Kind.ANSWER, 10, 2**50))

    def _say(self, content: bytes) -> None:
        with socket.socket(fileno=os.dup(int(os.environ["PENSTOCK_CHANNEL"]))) as channel:
            channel.sendall(content)
        time.sleep(600)


def load(folder: Path) -> Odd:
    return Odd()


def load_badly(folder: Path) -> Odd:
    raise ModuleNotFoundError("No module named 'churnlib'")


def load_and_crash(folder: Path) -> Odd:
    print("about to crash", flush=True)
    os.abort()


def load_for_ever(folder: Path) -> Odd:
    time.sleep(600)
    return Odd()
