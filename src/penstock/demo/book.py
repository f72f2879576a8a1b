"""What a demo has written down: enough to go on where it was interrupted."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import ConflictError
from penstock.demo.port import Reply
from penstock.demo.source import Score
from penstock.demo.whole_files import write_bytes, write_parquet

T = TypeVar("T")


class DemoSettings(Struct, frozen=True, kw_only=True):
    """What may not change between an interruption and going on."""

    source: str  # simulator, or the digest of the log
    seed: int
    weeks: int


class Book:
    """Files under a project's folder: the log of events where its pipeline reads it, and notes in `demo/`.

    Every file appears whole or not at all; answers are noted as they come.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._notes = root / "demo"

    def open(self, settings: DemoSettings) -> None:
        """Begin, or go on.

        Raises:
            ConflictError: another demo was begun here.
        """
        file = self._notes / "settings.json"
        if file.exists():
            if codec.decode(file.read_bytes(), DemoSettings) != settings:
                raise ConflictError(
                    f"{self._root} holds a demo with other settings",
                    hint="go on with the same ones, give another --folder, or remove the folder",
                )
            return
        write_bytes(file, codec.encode(settings))

    def is_done(self, week: int) -> bool:
        """Whether a week was carried through."""
        return self._week_file(week).exists()

    def finish(self, week: int, scores: list[Score]) -> None:
        """Note that a week was carried through."""
        write_bytes(self._week_file(week), msgspec.json.encode(scores))
        self._answers_file(week).unlink(missing_ok=True)

    def scores(self, week: int) -> list[Score]:
        """What the lists of a week brought."""
        return codec.decode(self._week_file(week).read_bytes(), list[Score])

    def note_replies(self, week: int, replies: dict[str, Reply]) -> None:
        """Note answers of a week that goes on, by customer."""
        self._notes.mkdir(parents=True, exist_ok=True)
        with self._answers_file(week).open("ab") as file:
            file.writelines(msgspec.json.encode([user, reply]) + b"\n" for user, reply in replies.items())

    def replies(self, week: int) -> dict[str, Reply]:
        """The answers that were noted of a week."""
        return dict(self._read_replies(week))

    def _read_replies(self, week: int) -> Iterator[tuple[str, Reply]]:
        file = self._answers_file(week)
        for line in file.read_bytes().split(b"\n") if file.exists() else ():
            try:
                yield msgspec.json.decode(line, type=tuple[str, Reply])
            except msgspec.DecodeError:  # the last line of an interruption, or the end of the file
                return

    def put_events(self, week: int, events: pl.DataFrame) -> None:
        """Put the log of a week where the pipeline reads it."""
        write_parquet(self._events_file(week), events)

    def has_events(self, week: int) -> bool:
        """Whether the log of a week is there."""
        return self._events_file(week).exists()

    def events(self, week: int) -> pl.DataFrame:
        """The log of a week."""
        return pl.read_parquet(self._events_file(week))

    def put_catalogue(self, catalogue: pl.DataFrame) -> None:
        """Put the catalogue where the pipeline reads it."""
        write_parquet(self._root / "data" / "catalogue.parquet", catalogue)

    def put_result(self, name: str, record: Struct) -> None:
        """Keep a result."""
        write_bytes(self._notes / f"{name}.json", codec.encode(record))

    def find_result(self, name: str, kind: type[T]) -> T | None:
        """A result that was kept, or None."""
        file = self._notes / f"{name}.json"
        return codec.decode(file.read_bytes(), kind) if file.exists() else None

    def _events_file(self, week: int) -> Path:
        return self._root / "data" / "events" / f"week-{week:03d}.parquet"

    def _week_file(self, week: int) -> Path:
        return self._notes / f"week-{week:03d}.json"

    def _answers_file(self, week: int) -> Path:
        return self._notes / f"answers-{week:03d}.jsonl"
