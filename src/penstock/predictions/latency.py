"""Latencies as counts in buckets of equal ratio: they add up, and give quantiles to within 12 %."""

import math
from collections import Counter
from collections.abc import Iterable

BUCKETS_PER_DECADE = 20
LatencyCounts = list[tuple[int, int]]  # bucket number, rows; bucket b ends at 10 ** (b / 20) microseconds


def count_latencies(latencies_us: Iterable[int]) -> LatencyCounts:
    """How many latencies fall into each bucket."""
    counts: Counter[int] = Counter()
    for latency_us in latencies_us:
        counts[math.ceil(BUCKETS_PER_DECADE * math.log10(max(latency_us, 1)) - 1e-9)] += 1
    return sorted(counts.items())


def add_latencies(parts: Iterable[LatencyCounts]) -> LatencyCounts:
    """The counts of several parts together."""
    total: Counter[int] = Counter()
    for part in parts:
        for bucket, count in part:
            total[bucket] += count
    return sorted(total.items())


def latency_quantile(counts: LatencyCounts, quantile: float) -> float | None:
    """The upper end of the bucket that holds the quantile, in milliseconds; None without rows."""
    rank = quantile * sum(count for _bucket, count in counts)
    seen = 0
    for bucket, count in counts:
        seen += count
        if seen >= rank:
            return float(10 ** (bucket / BUCKETS_PER_DECADE) / 1000)
    return None


def count_above(counts: LatencyCounts, bar_ms: float) -> int:
    """How many rows took surely longer than this: those in buckets that begin at or above it."""
    bar = BUCKETS_PER_DECADE * math.log10(bar_ms * 1000)
    return sum(count for bucket, count in counts if bucket - 1 >= bar - 1e-9)
