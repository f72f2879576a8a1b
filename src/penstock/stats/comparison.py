"""What comes out when two models are compared on the same rows; records only, so that it is imported quickly."""

from enum import StrEnum

from msgspec import Struct


class Standing(StrEnum):
    """How the first of two models stands beside the second, given a margin."""

    BETTER = "better"  # the whole interval lies above zero
    NOT_WORSE = "not_worse"  # a loss beyond the margin is ruled out
    TIE = "tie"  # no difference shown, nor a loss beyond the margin ruled out
    WORSE = "worse"  # the whole interval lies below zero, and reaches beyond the margin


class Comparison(Struct, frozen=True, kw_only=True):
    """The first model against the second on the same rows.

    Attributes:
        difference: by how much the first is better, in units of the metric: above zero is good for it, also where a
            lower metric is better.
        low: lower end of the interval of `difference`; None where there are too few rows to give one.
        high: upper end, or None.
        p_value: of no difference at all, two-sided.
        margin: the loss that would be put up with.
        verdict: how the first stands.
        n: rows compared.
        method: the test: `paired_t`, `delong`, or `paired_bootstrap`; `clustered_...` where clusters were given.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float
    margin: float
    verdict: Standing
    n: int
    method: str
