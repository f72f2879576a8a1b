"""A ranking model that is arrays only: a linear item-to-item scorer, written as `.npz` and JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError

ARRAYS_FILE = "ranking.npz"
SETTINGS_FILE = "ranking.json"
ITEMS_FILE = "items.parquet"
OUTPUT_SCHEMA = pl.Schema({"items": pl.List(pl.String), "scores": pl.List(pl.Float64)})


class RankingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ranking model is beside its arrays."""

    format: int = 1
    decay: float
    depth: int
    inputs: tuple[str, ...]


class RankingModel:
    """Suggests items from those a user touched last.

    An item's score is `prior[item]`, plus, for the item j at each place p of `recent` (0 is the newest), `decay ** p`
    times `weights[j, k]` where `neighbours[j, k]` is the item, or times `repeat[j]` where j is the item itself. So a
    list of popular items (only `prior`), of items touched before (only `repeat`), item-item similarities and the
    neighbours in a factorisation are all this one model. Items it does not know are ignored; who has no known item
    gets the list by `prior` alone. An item that stands in `recent` several times counts several times.
    """

    def __init__(
        self,
        items: Sequence[str],
        *,
        prior: ArrayLike,
        repeat: ArrayLike = 0.0,
        neighbours: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        decay: float = 1.0,
        depth: int = 100,
        inputs: Sequence[str] = ("user", "recent"),
        attributes: pl.DataFrame | None = None,
    ) -> None:
        """Put a model together.

        Args:
            items: the n items it knows, each once.
            prior: shape (n,), what an item scores for everybody, such as its popularity.
            repeat: shape (n,) or one number, what an item in `recent` adds to its own score.
            neighbours: shape (n, k), rows of places in `items`.
            weights: shape (n, k), what an item in `recent` adds to the scores of its neighbours; 0 for an empty place.
            decay: weight of a place in `recent` against the one before it, above 0 and up to 1.
            depth: how many items are suggested at most.
            inputs: the columns of a request. Scores depend on `recent` alone; the others are asked for so that they
                are logged and can be watched, such as the aisle a customer was in last.
            attributes: what requests may filter by and business rules may ask for: a row for each item, its id in the
                column `item`.

        Raises:
            InvalidInputError: shapes do not fit, a number is not finite, or an item stands there twice.
        """
        n = len(items)
        self.items = np.asarray(items, dtype=np.str_)
        self.prior = _numbers(prior, (n,), "prior")
        self.repeat = _numbers(np.broadcast_to(np.asarray(repeat, dtype=np.float64), (n,)), (n,), "repeat")
        self.neighbours = np.zeros((n, 0), np.int32) if neighbours is None else np.asarray(neighbours, np.int32)
        self.weights = _numbers(np.zeros((n, 0)) if weights is None else weights, self.neighbours.shape, "weights")
        self.decay = float(decay)
        self.depth = int(depth)
        self.inputs = tuple(inputs)
        self.attributes = attributes
        self._check()
        self._places = {item: place for place, item in enumerate(self.items.tolist())}
        self._names = self.items.astype(object)

    def score(self, recent: Iterable[str]) -> NDArray[np.float64]:
        """Every item's score for a user; shape (n,), in the order of `items`.

        Args:
            recent: the items the user touched last, newest first.
        """
        known = [(place, item) for place, name in enumerate(recent) if (item := self._places.get(name)) is not None]
        scores = self.prior.astype(np.float64)
        if not known:
            return scores
        places, held = np.array(known, dtype=np.int64).T
        strength = self.decay**places
        n = len(self.items)
        added = self.weights[held] * strength[:, None]
        scores += np.bincount(self.neighbours[held].ravel(), weights=added.ravel(), minlength=n)
        scores += np.bincount(held, weights=self.repeat[held] * strength, minlength=n)
        return scores

    def suggest(self, recent: Iterable[str]) -> tuple[list[str], list[float]]:
        """The best items for a user with their scores, best first; of equal scores the one earlier in `items` leads."""
        scores = self.score(recent)
        depth = min(self.depth, len(scores))
        if depth < len(scores):
            bar = np.partition(scores, len(scores) - depth)[len(scores) - depth]
            held = np.flatnonzero(scores >= bar)
        else:
            held = np.arange(len(scores))
        best = held[np.argsort(-scores[held], kind="stable")[:depth]]
        return self._names[best].tolist(), scores[best].tolist()

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Suggestions for each row.

        Args:
            frame: has a text column `recent`: item ids, newest first, with spaces between. Null counts as empty.

        Returns:
            Columns `items` and `scores`, best first, as many rows as `frame`.
        """
        rows = [self.suggest((recent or "").split()) for recent in frame["recent"].to_list()]
        return pl.DataFrame(
            {"items": [items for items, _ in rows], "scores": [scores for _, scores in rows]}, schema=OUTPUT_SCHEMA
        )

    def save(self, folder: Path) -> None:
        """Write the model into a folder; equal models give equal bytes."""
        settings = RankingSettings(decay=self.decay, depth=self.depth, inputs=self.inputs)
        np.savez(
            folder / ARRAYS_FILE,
            items=self.items,
            prior=self.prior,
            repeat=self.repeat,
            neighbours=self.neighbours,
            weights=self.weights,
        )
        if self.attributes is not None:
            self.attributes.write_parquet(folder / ITEMS_FILE)
        (folder / SETTINGS_FILE).write_bytes(codec.encode(settings))

    @classmethod
    def load(cls, folder: Path) -> "RankingModel":
        """Read a model that `save` wrote; nothing in it is executed.

        Raises:
            CorruptDataError: the files are missing, damaged, or do not fit together.
        """
        try:
            settings = codec.decode((folder / SETTINGS_FILE).read_bytes(), RankingSettings)
            with (folder / ARRAYS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                held = {name: arrays[name] for name in ("items", "prior", "repeat", "neighbours", "weights")}
            table = folder / ITEMS_FILE
            return cls(
                held.pop("items"),
                **held,
                decay=settings.decay,
                depth=settings.depth,
                inputs=settings.inputs,
                attributes=pl.read_parquet(table) if table.exists() else None,
            )
        except pl.exceptions.PolarsError as error:
            raise CorruptDataError(f"the table of items in {folder} cannot be read: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile, InvalidInputError) as error:
            raise CorruptDataError(f"the ranking model in {folder} cannot be read: {error}") from error

    def _check(self) -> None:
        n = len(self.items)
        if n == 0:
            raise InvalidInputError("a ranking model needs at least one item", field="items")
        if len(np.unique(self.items)) != n:
            raise InvalidInputError("an item stands twice in a ranking model", field="items")
        spaced = next((item for item in self.items.tolist() if not item or len(item.split()) != 1), None)
        if spaced is not None:
            raise InvalidInputError(
                f"{spaced!r} cannot be an item of a ranking model",
                hint="`recent` separates items by spaces, so give ids without any",
                field="items",
            )
        if self.neighbours.ndim != 2 or len(self.neighbours) != n:
            raise InvalidInputError(f"neighbours has shape {self.neighbours.shape} and needs ({n}, k)")
        if self.neighbours.size and not (self.neighbours.min() >= 0 and self.neighbours.max() < n):
            raise InvalidInputError(f"neighbours point outside the {n} items", field="neighbours")
        if not 0 < self.decay <= 1:
            raise InvalidInputError(f"a decay of {self.decay} makes no sense", hint="give one above 0 and up to 1")
        if "recent" not in self.inputs:
            raise InvalidInputError("a ranking model needs the input 'recent'", field="inputs")
        if self.attributes is not None:
            _check_attributes(self.attributes, self.items.tolist())
        if self.depth < 1:
            raise InvalidInputError(f"a depth of {self.depth} suggests nothing", field="depth")


def _check_attributes(table: pl.DataFrame, items: list[str]) -> None:
    if "item" not in table.columns or table.schema["item"] != pl.String:
        raise InvalidInputError("the table of items needs a column 'item' with their ids as texts", field="attributes")
    known = set(items)
    strange = next((item for item in table["item"] if item not in known), None)
    if strange is not None:
        raise InvalidInputError(f"{strange!r} stands in the table of items, and is no item", field="attributes")
    if table["item"].n_unique() < table.height:
        raise InvalidInputError("an item stands twice in the table of items", field="attributes")
    others = (pl.String, pl.Boolean, pl.Date, pl.Datetime)
    odd = [name for name, kind in table.schema.items() if not (kind.is_numeric() or isinstance(kind, others))]
    if odd:
        raise InvalidInputError(
            f"column {odd[0]!r} of the table of items holds {table.schema[odd[0]]}",
            hint="give numbers, texts or booleans",
            field="attributes",
        )


def _numbers(values: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape} and needs {shape}", field=name)
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name} holds NaN or infinity", field=name)
    return array
