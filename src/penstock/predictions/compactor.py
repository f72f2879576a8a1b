"""A process beside a gateway that makes Parquet files of what it logged, so that no answer waits for that."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from penstock.core.errors import PenstockError, UnavailableError, error_from_code
from penstock.predictions.segment_file import compact_segment
from penstock.predictions.types import Segment

_NICENESS = 10  # whoever asks for predictions goes first


class _Said(Struct):
    """What the process says of a segment: the record and the object, or the code, message and hint of an error."""

    segment: Segment | None = None
    target: str = ""
    error: tuple[str, str, str] | None = None


class Compactor:
    """Calls `compact_segment` in another process, which is started when it is first needed; for one thread.

    The process keeps nothing: where it dies, the segment is still there, and the next call starts another. It ends
    when its input does, and so also when this process is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def compact(self, path: Path) -> tuple[Segment, Path]:
        """As `compact_segment`.

        Raises:
            UnavailableError: the process died, or the object could not be written; the segment waits.
        """
        process = self._process or self._start()
        try:
            line = _ask(process, path)
        except BrokenPipeError:
            line = b""
        if not line:
            self.close()
            raise UnavailableError(f"the process that compacts predictions ended with {process.returncode}")
        said = msgspec.json.decode(line, type=_Said)
        if said.error is not None:
            code, message, hint = said.error
            raise error_from_code(code, message, hint=hint)
        assert said.segment is not None
        return said.segment, Path(said.target)

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        process.stdout.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "penstock.predictions.compactor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for this process, which ships what is left
        )
        return self._process


def _ask(process: "subprocess.Popen[bytes]", path: Path) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(str(path)) + b"\n")
    process.stdin.flush()
    return process.stdout.readline()


def answer(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Compact what is asked for, a JSON text with the path on each line, until the input ends."""
    for line in asked:
        try:
            segment, target = compact_segment(Path(msgspec.json.decode(line, type=str)))
            said = _Said(segment, str(target))
        except PenstockError as error:
            said = _Said(error=(error.code, error.message, error.hint))
        except OSError as error:  # a full disk, say
            said = _Said(error=(UnavailableError.code, str(error), ""))
        answers.write(msgspec.json.encode(said) + b"\n")
        answers.flush()


if __name__ == "__main__":
    os.nice(_NICENESS)
    answer(sys.stdin.buffer, sys.stdout.buffer)
