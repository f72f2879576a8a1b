"""Streams of two arms that are looked at again and again, many runs at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from penstock.stats.sequential.evidence import Sums

CHUNK = 500  # runs at a time; bounds the memory
Draw = Callable[[np.random.Generator, int, int], np.ndarray]  # generator, runs, rows -> values


def coin(rate: float) -> Draw:
    return lambda rng, runs, rows: (rng.random((runs, rows)) < rate).astype(float)


def beta(a: float, b: float) -> Draw:
    return lambda rng, runs, rows: rng.beta(a, b, (runs, rows))


def look(
    draw_b: Draw, draw_a: Draw, *, share: float, every: int, looks: int, runs: int, seed: int, squares: bool = True
) -> Iterator[list[tuple[Sums, Sums]]]:
    """For a chunk of runs, the sums of b and a at every look; each row goes to b with chance `share`."""
    rng = np.random.default_rng(seed)
    for start in range(0, runs, CHUNK):
        some, rows = min(CHUNK, runs - start), every * looks
        to_b = rng.random((some, rows)) < share
        arms = [
            _add_up(np.where(own, draw(rng, some, rows), 0.0), own, every, squares)
            for draw, own in ((draw_b, to_b), (draw_a, ~to_b))
        ]
        yield list(zip(*arms, strict=True))


def _add_up(values: np.ndarray, own: np.ndarray, every: int, squares: bool) -> list[Sums]:
    parts = [np.cumsum(part, axis=1)[:, every - 1 :: every].astype(float) for part in (own, values, values**2)]
    return [
        Sums(n=n, total=total, squares=both if squares else None)
        for n, total, both in zip(*(part.T for part in parts), strict=True)
    ]


def share_that_ever(
    evidence: Callable[[Sums, Sums], Any], chunks: Iterator[list[tuple[Sums, Sums]]], alpha: float = 0.05
) -> float:
    """The share of runs whose evidence reaches 1 / alpha at any look."""
    crossed = [np.any([np.asarray(evidence(b, a)) >= -np.log(alpha) for b, a in looks], axis=0) for looks in chunks]
    return float(np.concatenate(crossed).mean())
