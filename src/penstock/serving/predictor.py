"""From a call to its answer: choose revisions, predict, fall back where a model fails, log, and only then answer."""

import logging
import time
from typing import Any

import msgspec
from msgspec import Struct

from penstock.core import failpoints
from penstock.core.clock import Clock
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import PredictionId
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow, Status
from penstock.serving.calls import MAXIMUM_KEY, Answer, Call, Parameters, Prediction
from penstock.serving.http import ModelFailedError
from penstock.serving.inputs import Rows
from penstock.serving.live import LiveDeployment, LiveRevision

DEFAULT_ITEMS = 20
log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

Output = dict[str, Any]


class _Done(Struct, frozen=True):
    """What some rows got."""

    outputs: list[Output]
    status: Status
    problem: str = ""


class Predictor:
    """Answers calls. Safe to use from several threads."""

    def __init__(self, segments: SegmentLog, clock: Clock) -> None:
        self._segments = segments
        self._clock = clock

    def answer(self, live: LiveDeployment, call: Call, started: float) -> Answer:
        """Predict the rows of a call, and log them.

        Args:
            live: the deployment as it is at this moment.
            call: the request.
            started: `time.perf_counter()` when the request began.

        Raises:
            InvalidInputError: a row does not fit the model; `field` says where.
            NotFoundError: the version that was asked for takes no traffic.
            ModelFailedError: no model could answer; the rows are in the log as errors.
            StorageFullError: the log cannot be written.
        """
        at_us = call.parameters.event_time_us(self._clock.now())
        rows = call.read_rows(live.stable.decoder)
        keys = _find_keys(live, rows, call.parameters)
        chosen = _choose(live, call, keys)
        done = self._predict_all(live, call, rows, chosen)
        latency_us = int((time.perf_counter() - started) * 1e6)
        ids = self._log_rows(live, rows, keys, chosen, done, at_us=at_us, latency_us=latency_us)
        problem = next((item.problem for item in done if item.status == "error"), None)
        if problem is not None:
            raise ModelFailedError(
                f"the model of deployment {live.name!r} failed, and nothing could answer in its place",
                hint=f"see the gateway's log for {problem}",
                prediction_id=ids[0],
            )
        predictions = [
            Prediction(ids[place], chosen[place], done[place].status, done[place].outputs[0])
            for place in range(len(rows))
        ]
        return Answer(live, predictions)

    def _predict_all(self, live: LiveDeployment, call: Call, rows: Rows, chosen: list[LiveRevision]) -> list[_Done]:
        """What each row got: the rows of each revision are predicted together."""
        if all(revision is chosen[0] for revision in chosen):
            return _split(self._predict(live, chosen[0], call, rows, None))
        done: dict[int, _Done] = {}
        for revision in {id(item): item for item in chosen}.values():
            places = [place for place, item in enumerate(chosen) if item is revision]
            done.update(zip(places, _split(self._predict(live, revision, call, rows, places)), strict=True))
        return [done[place] for place in range(len(rows))]

    def _predict(
        self, live: LiveDeployment, revision: LiveRevision, call: Call, rows: Rows, places: list[int] | None
    ) -> _Done:
        """What a revision gives for some of the rows, or what comes in its place."""
        problem = ""
        own = rows if places is None else rows.take(places)
        for model in _line_up(live, revision):
            try:
                if model.fits(live.stable):
                    fitting = own
                else:  # another signature reads the request anew
                    fitting = call.read_rows(model.decoder)
                    fitting = fitting if places is None else fitting.take(places)
                outputs = _run(model, fitting)
            except Exception as error:  # whatever a model raises, the caller gets an answer if there is any
                if model is live.stable and isinstance(error, InvalidInputError):
                    raise
                problem = problem or type(error).__name__
                _report(live, model, error)
                continue
            return _Done(_cut(outputs, call.parameters), "ok" if model is revision else "fallback")
        if live.stable.baseline is not None:
            return _Done(_cut([live.stable.baseline] * len(own), call.parameters), "fallback")
        return _Done([{"error": problem}] * len(own), "error", problem)

    def _log_rows(
        self,
        live: LiveDeployment,
        rows: Rows,
        keys: list[str],
        chosen: list[LiveRevision],
        done: list[_Done],
        *,
        at_us: int,
        latency_us: int,
    ) -> list[PredictionId]:
        return self._segments.append(
            live.name,
            [
                PredictionRow(
                    at_us=at_us,
                    revision=chosen[place].route.number,
                    key=keys[place],
                    inputs=text,
                    output=_encoder.encode(done[place].outputs[0]).decode(),
                    latency_us=latency_us,
                    status=done[place].status,
                )
                for place, text in enumerate(rows.texts())
            ],
        )


def _find_keys(live: LiveDeployment, rows: Rows, parameters: Parameters) -> list[str]:
    """The sticky key of each row; empty where there is none."""
    if parameters.key is not None:
        return [str(parameters.key)] * len(rows)
    column = live.route.key
    if column is None or column not in rows.decoder.schema:
        return [""] * len(rows)
    return ["" if value is None else str(value)[:MAXIMUM_KEY] for value in rows.values(column)]


def _choose(live: LiveDeployment, call: Call, keys: list[str]) -> list[LiveRevision]:
    if call.version is None:
        return [live.choose(key) for key in keys]
    revision = live.find_version(call.version)
    if revision is None:
        raise NotFoundError(f"deployment {live.name!r} does not serve version {call.version} now")
    return [revision] * len(keys)


def _line_up(live: LiveDeployment, revision: LiveRevision) -> list[LiveRevision]:
    """Who is asked in turn. The revision before comes last, and only where the task has no baseline."""
    line = [revision]
    if revision is not live.stable:
        line.append(live.stable)
    if live.previous is not None and live.stable.baseline is None:
        line.append(live.previous)
    return line


def _run(model: LiveRevision, rows: Rows) -> list[Output]:
    failpoints.hit("serving.predict")
    outputs = model.model.predict(rows.frame()).to_dicts()
    if len(outputs) != len(rows):
        raise RuntimeError(f"the model gave {len(outputs)} answers for {len(rows)} rows")
    return outputs


def _cut(outputs: list[Output], parameters: Parameters) -> list[Output]:
    """Suggestions without the excluded items, cut to the number that was asked for; other outputs as they are."""
    if "items" not in outputs[0]:
        return outputs
    excluded = parameters.excluded()
    k = parameters.k or DEFAULT_ITEMS
    return [_cut_items(output, excluded, k) for output in outputs]


def _cut_items(output: Output, excluded: frozenset[str], k: int) -> Output:
    items, scores = output["items"], output["scores"]
    if excluded:
        kept = [place for place, item in enumerate(items) if item not in excluded][:k]
        return {**output, "items": [items[place] for place in kept], "scores": [scores[place] for place in kept]}
    return {**output, "items": items[:k], "scores": scores[:k]}


def _split(done: _Done) -> list[_Done]:
    return [_Done([output], done.status, done.problem) for output in done.outputs]


def _report(live: LiveDeployment, model: LiveRevision, error: Exception) -> None:
    fields = {"deployment": live.name, "revision": model.route.number, "problem": repr(error)}
    log.warning("a model failed: %s", error, extra=fields)
