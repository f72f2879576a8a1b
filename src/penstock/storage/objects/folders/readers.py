"""Who reads files into packs: this process, and beside it worker processes once there are many."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from penstock.core.errors import UnavailableError, error_from_code
from penstock.storage.objects.folders.messages import Answer, Flush, Read, Start, receive, send
from penstock.storage.objects.folders.reading import FileFacts, FileReader

ALONE = 1_000  # files that this process reads before it asks for help
WORKER_LIMIT = 8
_answers = msgspec.msgpack.Decoder(Answer)


class Readers:
    """Reads files into packs with as many processes as are worth their while; for one caller at a time.

    Args:
        own: reads in this process.
        written: told the name and the index of each pack of the others.
        start: what a worker is told first; None when there can be none, as the store is not a folder of this machine.
    """

    def __init__(self, own: FileReader, written: Callable[[str, bytes], None], start: Start | None) -> None:
        self._own = own
        self._written = written
        self._start = start
        self._files = 0
        self._workers: list[_Worker] = []

    def read(self, folder: str, names: Sequence[str]) -> "Future[list[FileFacts]]":
        """Read files of one folder, sooner or later; errors as `FileReader.read`, when the result is asked for."""
        self._files += len(names)
        if self._start is None or self._files <= ALONE:
            read: Future[list[FileFacts]] = Future()
            read.set_result(self._own.read_many(folder, names))
            return read
        if not self._workers:
            self._workers = [_Worker(self._start) for _ in range(min(WORKER_LIMIT, len(os.sched_getaffinity(0))))]
        worker = min(self._workers, key=lambda each: each.waiting)
        return worker.read(folder, names)

    def flush(self) -> None:
        """Make everything that was read by workers safe."""
        for flushed in [worker.flush() for worker in self._workers]:
            for name, index in flushed.result():
                self._written(name, index)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """A process that reads, and the thread that talks to it."""

    def __init__(self, start: Start) -> None:
        self.waiting = 0  # files that it was asked to read and did not yet
        self._thread = ThreadPoolExecutor(1, "reader")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "penstock.storage.objects.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked, self._answers = self._process.stdin, self._process.stdout
        send(self._asked, start)

    def read(self, folder: str, names: Sequence[str]) -> "Future[list[FileFacts]]":
        self.waiting += len(names)
        return self._thread.submit(self._read, folder, list(names))

    def flush(self) -> "Future[list[tuple[str, bytes]]]":
        return self._thread.submit(lambda: self._ask(Flush()).packs)

    def end(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._asked.close()  # it ends when its input does
        self._answers.close()
        self._process.wait()

    def _read(self, folder: str, names: list[str]) -> list[FileFacts]:
        files = self._ask(Read(os.fsencode(folder), names)).files
        self.waiting -= len(names)
        return files

    def _ask(self, message: Struct) -> Answer:
        try:
            send(self._asked, message)
            body = receive(self._answers)
        except BrokenPipeError:
            body = b""
        if not body:
            raise UnavailableError(f"a process that read files ended with {self._process.wait()}", hint="try it again")
        answer = _answers.decode(body)
        if answer.error:
            code, message_text, hint = answer.error
            raise error_from_code(code, message_text, hint=hint)
        return answer
