"""Tests that may be looked at after every row: evidence from sums, confidence sequences, a detector of rising loss.

An *e-value* is evidence against a hypothesis: under it, the chance that the e-value of a growing sample *ever* reaches
1 / alpha is at most alpha. A *confidence sequence* is a row of intervals that hold the truth all at once with
confidence 1 - alpha. Neither needs a sample size fixed beforehand, so there is no peeking problem.
"""
