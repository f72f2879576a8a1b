"""What the claims office writes down under a project's folder: closed files for the pipeline, and how far it came."""

from pathlib import Path

import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import ConflictError
from penstock.demo.whole_files import write_bytes, write_parquet

ASKED = {"claim_id": pl.String, "prediction_id": pl.String, "score": pl.Float64}


class OfficeSettings(Struct, frozen=True, kw_only=True):
    """What may not change between an interruption and going on."""

    source: str  # simulator, or the digest of the file
    seed: int
    periods: int


class OfficeFiles:
    """Every file appears whole or not at all; a day whose claims were asked for is noted, and not asked for again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._notes = root / "demo"

    def open(self, settings: OfficeSettings) -> None:
        """Begin, or go on.

        Raises:
            ConflictError: another demo was begun here.
        """
        file = self._notes / "settings.json"
        if not file.exists():
            write_bytes(file, codec.encode(settings))
        elif codec.decode(file.read_bytes(), OfficeSettings) != settings:
            raise ConflictError(
                f"{self._root} holds a demo with other settings",
                hint="go on with the same ones, give another --folder, or remove the folder",
            )

    def close(self, period: int, closed: pl.DataFrame) -> None:
        """Put the files that were closed in a period where the pipeline reads them."""
        if closed.height:
            write_parquet(self._root / "data" / "claims" / f"period-{period:03d}.parquet", closed)

    def find_asked(self, period: int, day: int) -> pl.DataFrame | None:
        """What was answered to the claims of a day; None where they were not asked for yet."""
        file = self._asked_file(period, day)
        return pl.read_parquet(file) if file.exists() else None

    def put_asked(self, period: int, day: int, asked: pl.DataFrame) -> None:
        """Note what was answered to the claims of a day."""
        write_parquet(self._asked_file(period, day), asked)

    def is_done(self, period: int) -> bool:
        """Whether a period was carried through."""
        return self._done_file(period).exists()

    def finish(self, period: int) -> None:
        """Note that a period was carried through."""
        write_bytes(self._done_file(period), b"")

    def _asked_file(self, period: int, day: int) -> Path:
        return self._notes / f"asked-{period:03d}-{day:02d}.parquet"

    def _done_file(self, period: int) -> Path:
        return self._notes / f"done-{period:03d}"
