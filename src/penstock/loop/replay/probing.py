"""Our own policy: it asks by cheap probes whether a retrain would help, and lets out only what has proved better."""

import math

import msgspec
import numpy as np

from penstock.loop.replay.history import History
from penstock.loop.replay.live import Deployed, Moment
from penstock.loop.retraining.case import Case, Rule
from penstock.loop.retraining.guards import FEWEST_ROWS, find_copies, find_missing, lacks_classes
from penstock.stats.arrays import FloatArray, IntArray

ALL = 20_000  # rows that "all" means at most
_SPARSE = {"half": 2_000, "last": 2_000, "all": 3_000}  # rows a probe learns from, evenly picked
_STALE = 0.1  # share of its rows that a judged model may lack before it is fitted again with them


class Loop:
    """Probes, weighs, fits, judges and releases, as the live loop does."""

    def __init__(self, rule: Rule = Rule()) -> None:  # noqa: B008  # frozen
        self._rule = rule
        self._case = Case(window="all")
        self._broken: set[int] = set()  # rows that are not learned from
        self._of_champion: int | None = None  # since when the champion serves whose first chunk was compared

    def act(self, moment: Moment) -> Deployed | None:
        """A new model when not having one has cost enough, and it has proved better on rows it never saw."""
        newest = moment.newest
        if newest is None or self._is_unfit(moment, newest) or not moment.has_answered(newest):
            return None
        champion = moment.losses(moment.outputs[newest], newest)
        windows = self._list_windows(moment, newest.start)
        self._case = self._case.fade(self._rule).move_to(self._case.window if self._case.window in windows else "all")
        probe = self._probe(moment, newest, windows, self._case.window)
        self._compare_twin(moment, newest, champion)
        before, self._case = self._case, self._case.add(champion, probe)
        if self._case.asks_for_a_rival:
            probe = self._try_rival(moment, newest, windows, probe)
            self._case = msgspec.structs.replace(self._case, lost=before.add(champion, probe).lost)
        if not self._case.is_due(self._rule):
            return None
        return self._retrain(moment, newest, windows[self._case.window], champion, probe)

    def _is_unfit(self, moment: Moment, newest: slice) -> bool:
        """Whether the newest rows are broken, against those the champion learned from; nobody will learn from them."""
        history = moment.history
        before = moment.champion.rows[-history.warmup :]
        fault = find_missing(history.missing[before], history.missing[newest], history.names)
        if not fault and not find_copies(history.features[before], history.features[newest]):
            return False
        self._broken.update(range(newest.start, newest.stop))
        return True

    def _list_windows(self, moment: Moment, end: int) -> dict[str, IntArray]:
        """The windows that can be learned from, by name; one that would be all rows there are is left out."""
        history = moment.history
        sizes = {"half": max(history.warmup // 2, 2 * history.chunk), "last": history.warmup, "all": ALL}
        fit = np.setdiff1d(np.arange(end), list(self._broken), assume_unique=True) if self._broken else np.arange(end)
        found = {name: fit[-size:] for name, size in sizes.items()}
        most = len(found["all"])
        return {name: rows for name, rows in found.items() if name == "all" or _stands_apart(history, fit, rows, most)}

    def _try_rival(
        self, moment: Moment, newest: slice, windows: dict[str, IntArray], present: FloatArray
    ) -> FloatArray:
        """What a probe of the better of two windows loses; that window stays."""
        rival = self._case.choose_rival(list(windows))
        if rival is None:
            return present
        lost = self._probe(moment, newest, windows, rival)
        self._case = self._case.compare(present, rival, lost, self._rule)
        return lost if self._case.window == rival else present

    def _probe(self, moment: Moment, newest: slice, windows: dict[str, IntArray], name: str) -> FloatArray:
        return _probe_losses(moment, windows[name], newest, _SPARSE[name])

    def _compare_twin(self, moment: Moment, newest: slice, champion: FloatArray) -> None:
        """In a champion's first chunk: what it loses less than a probe of the very rows it learned from."""
        since = moment.champion.since
        if since == self._of_champion or newest.start != moment.history.start(since):
            return
        self._of_champion = since
        twin = _probe_losses(moment, moment.champion.rows, newest, _SPARSE[self._case.window])
        self._case = self._case.learn_shortfall(champion, twin)

    def _retrain(
        self, moment: Moment, newest: slice, rows: IntArray, champion: FloatArray, probe: FloatArray
    ) -> Deployed | None:
        """The full fit, judged on the newest rows with an outcome, which it has not seen."""
        name = self._case.window
        found = moment.fit(rows, name)
        judged = moment.losses(found.model.predict(moment.history.features[newest]), newest)
        self._case = self._case.learn_shortfall(judged, probe)
        if float((champion - judged).mean()) <= 0:
            self._case = self._case.refuse()
            return None
        self._case = self._case.release()
        again = self._list_windows(moment, moment.known).get(name)
        is_fresh = moment.known - int(rows[-1]) - 1 <= _STALE * len(rows)
        return found if is_fresh or again is None else moment.fit(again, name)


def _stands_apart(history: History, fit: IntArray, rows: IntArray, most: int) -> bool:
    """Whether some rows are fewer than all there are, and enough of each class."""
    if len(rows) == most or len(rows) < FEWEST_ROWS:
        return False
    return not history.classes or not lacks_classes(history.labels[fit], history.labels[rows])


def _probe_losses(moment: Moment, rows: IntArray, tried: slice, most: int) -> FloatArray:
    picked = rows[:: max(1, math.ceil(len(rows) / most))]
    model = moment.learner.probe(picked)
    return moment.losses(model.predict(moment.history.features[tried]), tried)
