"""A process that reads files into packs, for an add of more files than one core can read in good time.

It is told what to read on standard input and answers on standard output, one message after the other. It ends when its
input does.
"""

import os
import sys
from pathlib import Path

import msgspec

from penstock.core.errors import PenstockError
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.folders.messages import Answer, Flush, Read, Start, receive, send
from penstock.storage.objects.folders.reading import FileReader
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore


def main() -> None:
    """Serve until the input ends."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    start = msgspec.msgpack.decode(receive(asked), type=Start)
    store = ObjectStore(LocalBlobStore(Path(os.fsdecode(start.store))), pack_size=start.pack_size)
    packs: list[tuple[str, bytes]] = []
    decoder = msgspec.msgpack.Decoder(Read | Flush)
    with store.open_pack(written=lambda name, index: packs.append((name, index))) as pack:
        reader = FileReader(pack, ContentChunker())
        while body := receive(asked):
            try:
                match decoder.decode(body):
                    case Read(folder, names):
                        answer = Answer(files=reader.read_many(os.fsdecode(folder), names))
                    case Flush():
                        pack.flush()
                        answer = Answer(packs=packs)
                        packs = []
            except PenstockError as error:
                answer = Answer(error=(error.code, error.message, error.hint))
            send(answers, answer)


if __name__ == "__main__":
    main()
