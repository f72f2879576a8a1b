from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.stats.sketches.frequencies import BUCKETS, EXACT, FREQUENT, Frequencies

texts = st.text(max_size=6)


@given(st.lists(st.lists(texts, max_size=30), max_size=6))
def test_few_texts_are_counted_exactly(parts: list[list[str]]) -> None:
    merged = Frequencies()
    for part in parts:
        merged = merged.merge(Frequencies().add(Counter(part)))
    everything = Counter(text for part in parts for text in part)
    assert merged.is_exact
    assert merged.counts == dict(everything)
    assert (merged.rows, merged.distinct) == (everything.total(), len(everything))


def draw(rng: np.random.Generator, rows: int) -> list[str]:
    return [f"t{number}" for number in rng.zipf(1.2, rows) % 30_000]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_of_many_texts_counts_are_too_low_by_at_most_the_error(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    held = [draw(rng, 8_000) for _ in range(parts)]
    merged = Frequencies()
    for part in held:
        merged = merged.merge(Frequencies().add(Counter(part)))
    truth = Counter(text for part in held for text in part)
    assert not merged.is_exact and len(merged.counts) <= FREQUENT
    for text, count in truth.items():
        assert count - merged.error <= merged.counts.get(text, 0) <= count
    assert 0.85 < merged.distinct / len(truth) < 1.15


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_buckets_are_exact_however_the_rows_were_parted(seed: int) -> None:
    rows = draw(np.random.default_rng(seed), 6_000)
    whole = Frequencies().add(Counter(rows))
    left = Frequencies().add(Counter(rows[:50])).merge(Frequencies().add(Counter(rows[50:]))).hashed()
    assert whole.hashed().buckets is not None and left.buckets is not None
    assert whole.hashed().buckets.tolist() == left.buckets.tolist()
    assert left.buckets.sum() == 6_000 and len(left.buckets) == BUCKETS


def test_rare_texts_are_forgotten_and_counted_all_the_same() -> None:
    held = Frequencies().add({"often": 50, "ten times": 10, "once": 1, "twice": 2})
    known = held.forget_rare(10)
    assert known.counts == {"often": 50, "ten times": 10} and (known.rows, known.distinct, known.error) == (63, 4, 9)
    assert known.buckets is not None and held.hashed().buckets is not None
    assert np.array_equal(known.buckets, held.hashed().buckets)
    assert known.forget_rare(10) is known and held.forget_rare(1) is held
    both = known.merge(Frequencies().add({"once": 30}))
    assert both.counts["once"] == 30 and both.rows == 93 and both.distinct == 4


def test_one_text_too_many_makes_the_difference() -> None:
    counts = {f"t{number}": 1 for number in range(EXACT)}
    assert Frequencies().add(counts).is_exact
    assert not Frequencies().add(counts | {"more": 1}).is_exact


def test_texts_of_any_script_and_broken_ones_are_counted() -> None:
    odd = {"": 1, "日本語": 2, "\U0001f600": 3, "\ud800": 4, "e\u0301": 5}
    assert Frequencies().add(odd).hashed().buckets.sum() == 15  # type: ignore[union-attr]
