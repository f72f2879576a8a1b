"""A sketch of how often each text occurs: exact up to a number of different ones, of constant size beyond it.

Beyond it two things are kept. The *frequent* texts, each with a count that is too low by at most `error`, for people.
And *buckets*: every text belongs to one of 256 by its hash, and the rows of each bucket are counted, exactly, whatever
comes. Which bucket a text falls into has nothing to do with how often it occurs, so a test that compares the buckets of
two samples keeps its level without any allowance for what the sketch does not know.

Source: Misra and Gries 1982 for the frequent ones, merged as in Agarwal et al. 2012, Mergeable Summaries.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import IntArray
from penstock.stats.sketches.distinct import DistinctSketch
from penstock.stats.sketches.hashing import Hashes, hash_texts

EXACT = 1024  # different texts
FREQUENT = 256  # texts that are named beyond
BUCKETS = 256
HASHES = 1024  # of the count of different texts: wrong by about 3 %


class Frequencies(Struct, frozen=True, eq=False):
    """What is known of some texts.

    Attributes:
        counts: rows of each text; of the frequent ones once there were too many.
        rows: how many texts there were.
        error: how much a count, or that of a text that is not named, may be too low.
        buckets: rows by hash, shape (256,); None while the counts are exact.
        hashes: the smallest ones, to tell how many different texts there were; None likewise.
    """

    counts: dict[str, int] = {}
    rows: int = 0
    error: int = 0
    buckets: IntArray | None = None
    hashes: Hashes | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every text is named, with its rows."""
        return self.buckets is None

    @property
    def distinct(self) -> int:
        """How many different texts, about."""
        return len(self.counts) if self.hashes is None else _distinct(self.hashes).count()

    def add(self, counts: Mapping[str, int]) -> "Frequencies":
        """With the rows of some more texts."""
        return self.merge(Frequencies(dict(counts), sum(counts.values())))

    def merge(self, other: "Frequencies") -> "Frequencies":
        """Of the texts of both."""
        counts = dict(self.counts)
        for text, count in other.counts.items():
            counts[text] = counts.get(text, 0) + count
        rows = self.rows + other.rows
        if self.is_exact and other.is_exact and len(counts) <= EXACT:
            return Frequencies(counts, rows)
        parts = [each if each.buckets is not None else each.hashed() for each in (self, other)]
        named, cut = _most_frequent(counts)
        distinct = _distinct(*(part.hashes for part in parts if part.hashes is not None))
        buckets = sum((part.buckets for part in parts if part.buckets is not None), np.zeros(BUCKETS, np.int64))
        return Frequencies(named, rows, self.error + other.error + cut, buckets, distinct.held())

    def forget_rare(self, least: int) -> "Frequencies":
        """With no text named that has fewer rows than `least`; the buckets count its rows all the same."""
        named = {text: count for text, count in self.counts.items() if count >= least}
        if len(named) == len(self.counts):
            return self
        whole = self.hashed()
        return Frequencies(named, self.rows, max(self.error, least - 1), whole.buckets, whole.hashes)

    def hashed(self) -> "Frequencies":
        """The same with buckets."""
        if not self.is_exact:
            return self
        hashes = hash_texts(list(self.counts))
        rows = np.fromiter(self.counts.values(), np.int64, len(self.counts))
        buckets = np.zeros(BUCKETS, np.int64)
        np.add.at(buckets, (hashes % np.uint64(BUCKETS)).astype(np.int64), rows)
        return Frequencies(self.counts, self.rows, self.error, buckets, _distinct(hashes).held())


def _most_frequent(counts: dict[str, int]) -> tuple[dict[str, int], int]:
    """At most as many as are named, each less what the first one left out has; and how much that is."""
    if len(counts) <= FREQUENT:
        return counts, 0
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    cut = ranked[FREQUENT][1]
    return {text: count - cut for text, count in ranked[:FREQUENT] if count > cut}, cut


def _distinct(*hashes: Hashes) -> DistinctSketch:
    sketch = DistinctSketch(HASHES)
    for each in hashes:
        sketch.add(each)
    return sketch
