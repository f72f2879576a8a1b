"""The process of one model: loads it, says that it is ready, and answers until nobody asks any more."""

import faulthandler
import importlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core import codec
from penstock.core.errors import InvalidInputError, PenstockError
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.runner import frames, wire
from penstock.registry.runner.ready import Ready
from penstock.registry.runner.wire import Kind, Message, Problem

_REQUEST_BYTES = 1024 * 1024 * 1024  # the one who asks has bounded it already


def main() -> None:
    """Serve the model directory in the first argument over the channel that the sandbox opened."""
    faulthandler.enable()  # a crash leaves its place in the log
    channel = socket.socket(fileno=int(os.environ["PENSTOCK_CHANNEL"]))
    folder, loader = Path(sys.argv[1]), sys.argv[2]
    try:
        model = _open(folder, loader)
        ready = Ready(codec.to_builtins(model.info), bool(getattr(model, "takes_arrays", False)))
    except Exception as error:  # whatever the model's code raises; the one who asked for it decides
        traceback.print_exc()
        wire.send(channel, Kind.ERROR, _describe(error, "the model cannot be loaded"))
        return
    wire.send(channel, Kind.READY, ready)
    while (message := wire.receive(channel, limit=_REQUEST_BYTES)) is not None:
        try:
            heads, parts = wire.encode_columns(_predict(model, message))
        except Exception as error:
            traceback.print_exc()
            wire.send(channel, Kind.ERROR, _describe(error, "the model failed"))
            continue
        wire.send(channel, Kind.ANSWER, heads, *parts)


def _open(folder: Path, loader: str) -> Any:
    if loader:
        module, _, name = loader.partition(":")
        load: Callable[[Path], Any] = getattr(importlib.import_module(module), name)
        return load(folder)
    model = load_model(folder, may_execute=True)
    check_golden(model)
    return model


def _predict(model: Any, message: Message) -> wire.Columns:
    if message.kind is Kind.MATRIX:
        answer: wire.Columns = model.predict_arrays(wire.decode_matrix(message))
        return answer
    return frames.to_columns(model.predict(frames.read_frame(message.body)))


def _describe(error: Exception, what: str) -> Problem:
    if isinstance(error, PenstockError):
        field = error.field if isinstance(error, InvalidInputError) else ""
        return Problem(error.code, error.message, error.hint, field)
    return Problem("", f"{what}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
