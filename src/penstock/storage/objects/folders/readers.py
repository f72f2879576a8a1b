"""Who reads files into packs: this process alone, or worker processes where there is much to read."""

import contextlib
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

ALONE = 1_000  # files that this process reads without help,
ALONE_SIZE = 64 << 20  # and bytes
WORKER_LIMIT = 8
_FILE_COST = 16 << 10  # bytes that are read in the time that opening a file takes
_PIPE_SIZE = 1 << 20  # messages wait in it while this process does something else
_answers = msgspec.msgpack.Decoder(Answer)


class Readers:
    """Reads files into packs with as many processes as are worth their while; for one caller at a time.

    What is asked for waits until it is known to be much or all: then it goes to workers, or this process reads it.

    Args:
        own: reads in this process.
        written: told the name and the index of each pack of the others.
        start: what a worker is told first; None when there can be none, as the store is not a folder of this machine.
    """

    def __init__(self, own: FileReader, written: Callable[[str, bytes], None], start: Start | None) -> None:
        self._own = own
        self._written = written
        self._start = start
        self._files = self._size = 0
        self._waiting: list[Batch] = []
        self._workers: list[_Worker] = []

    def read(self, folder: str, names: Sequence[str], size: int) -> "Batch":
        """Read files of one folder, of `size` bytes together."""
        batch = Batch(folder, list(names), size)
        self._waiting.append(batch)
        self._files += len(names)
        self._size += size
        if self._start is not None and (self._files > ALONE or self._size > ALONE_SIZE):
            for each in self._waiting:
                self._choose(self._start).read(each)
            self._waiting.clear()
        return batch

    def finish(self) -> None:
        """Say that nothing more is asked for just now; errors as `FileReader.read`."""
        for batch in self._waiting:
            batch.facts.set_result(self._own.read_many(batch.folder, batch.names))
        self._waiting.clear()

    def flush(self) -> None:
        """Make everything that was read by workers safe; they are asked for nothing more."""
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
            worker.end(is_done=kind is None)
        for worker in self._workers:
            worker.wait()

    def _choose(self, start: Start) -> "_Worker":
        """The worker with the least to do; another one is started when each has something."""
        least = min(self._workers, key=lambda each: each.cost, default=None)
        if least is not None and (least.cost == 0 or len(self._workers) >= min(WORKER_LIMIT, _cores())):
            return least
        self._workers.append(_Worker(start))
        return self._workers[-1]


class Batch:
    """Files of one folder that are read together."""

    def __init__(self, folder: str, names: list[str], size: int) -> None:
        self.folder = folder
        self.names = names
        self.cost = size + _FILE_COST * len(names)
        self.facts: Future[list[FileFacts]] = Future()  # what was found, some time after `Readers.finish`


class _Worker:
    """A process that reads, and the thread that hears from it."""

    def __init__(self, start: Start) -> None:
        self._total = self._done = 0  # cost of what it was asked to read, and of what it did
        self._thread = ThreadPoolExecutor(1, "reader")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "penstock.storage.objects.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE_SIZE,
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked, self._answers = self._process.stdin, self._process.stdout
        self._send(start)

    @property
    def cost(self) -> int:
        """Of what it was asked to read and did not yet."""
        return self._total - self._done

    def read(self, batch: Batch) -> None:
        self._total += batch.cost
        self._send(Read(os.fsencode(batch.folder), batch.names))
        batch.facts = self._thread.submit(self._take, batch.cost)

    def flush(self) -> "Future[list[tuple[str, bytes]]]":
        self._send(Flush())
        flushed = self._thread.submit(lambda: self._receive().packs)
        self._ask_no_more()
        return flushed

    def end(self, *, is_done: bool) -> None:
        if not is_done:
            self._process.terminate()  # it may be in the middle of a large file
        self._thread.shutdown(cancel_futures=True)
        self._ask_no_more()

    def wait(self) -> None:
        self._process.wait()
        self._answers.close()

    def _ask_no_more(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._asked.close()  # it ends when its input does

    def _take(self, cost: int) -> list[FileFacts]:
        files = self._receive().files
        self._done += cost
        return files

    def _send(self, message: Struct) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever asks for the answer is told
            send(self._asked, message)

    def _receive(self) -> Answer:
        body = receive(self._answers)
        if not body:
            raise UnavailableError(f"a process that read files ended with {self._process.wait()}", hint="try it again")
        answer = _answers.decode(body)
        if answer.error:
            code, message_text, hint = answer.error
            raise error_from_code(code, message_text, hint=hint)
        return answer


def _cores() -> int:
    return len(os.sched_getaffinity(0))
