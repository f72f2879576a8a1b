"""A process that reads files into packs, for an add of more files than one core can read in good time.

It is told what to read on standard input and answers on standard output, one message after the other. It ends when its
input does, or at once when nobody hears its answers any more.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.core.errors import PenstockError
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.folders.messages import Answer, Flush, Read, Start, receive, send
from penstock.storage.objects.folders.reading import FileReader
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.pack_writer import PackWriter


def main() -> None:
    """Serve until the input ends."""
    gc.disable()  # millions of facts about files would be looked at for circles that are never made
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaving the `with` block, and so no half a pack
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    threading.Thread(target=_end_unheard, args=(answers.fileno(),), daemon=True).start()
    start = msgspec.msgpack.decode(receive(asked), type=Start)
    packs: list[tuple[str, bytes]] = []
    decoder = msgspec.msgpack.Decoder(Read | Flush)
    kept = _open_pack(start, lambda name, index: packs.append((name, index)))
    with contextlib.suppress(BrokenPipeError), kept as pack:
        reader = FileReader(pack, ContentChunker())
        while body := receive(asked):
            try:
                match decoder.decode(body):
                    case Read(folder, names):
                        answer = Answer(files=reader.read_many(os.fsdecode(folder), names))
                    case Flush():
                        pack.flush()
                        answer = Answer(packs=list(packs))
                        packs.clear()
            except PenstockError as error:
                answer = Answer(error=(error.code, error.message, error.hint))
            send(answers, answer)
    gc.freeze()  # nor does the end have to look at them


def _end_unheard(answers: int) -> None:
    """End this process when whoever started it was killed, as it may be in the middle of a large file."""
    closed = select.poll()
    closed.register(answers, 0)  # an error is always told, and the only one is that nobody reads
    closed.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _open_pack(start: Start, written: Callable[[str, bytes], None]) -> PackWriter:
    blobs = LocalBlobStore(Path(os.fsdecode(start.store)))
    if start.is_empty:  # there is nothing to look up, and what looks up takes longer to import than many files to read
        return PackWriter(blobs, knows=lambda digest: False, written=written, pack_size=start.pack_size)
    store = importlib.import_module("penstock.storage.objects.object_store").ObjectStore
    pack: PackWriter = store(blobs, pack_size=start.pack_size).open_pack(written=written)
    return pack


if __name__ == "__main__":
    main()
