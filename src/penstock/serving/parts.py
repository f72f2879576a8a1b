"""A request on its way through the gateway: a job, and its parts, one for each revision that answers some rows."""

import asyncio
from collections.abc import Sequence

from penstock.core.errors import PenstockError
from penstock.serving.calls import Answer, Call, Prediction
from penstock.serving.inputs import Rows
from penstock.serving.live import LiveDeployment, LiveRevision


class Part:
    """The rows of one job that one revision answers.

    Attributes:
        job: what it is a part of.
        revision: that was chosen for these rows.
        rows: the rows, as the deployment's stable revision reads them.
        count: how many there are.
        places: of the rows in the request; None: all, in order.
        keys: the sticky key of each row, or nothing where no row has any.
        propensity: the chance with which the revision was chosen.
        predictions: the answers, once there are any.
        fallbacks: how many of these something simpler gave.
        error: or why there are none.
    """

    __slots__ = (
        "count",
        "error",
        "fallbacks",
        "job",
        "keys",
        "places",
        "predictions",
        "propensity",
        "revision",
        "rows",
    )

    def __init__(
        self,
        job: "Job",
        revision: LiveRevision,
        rows: Rows,
        places: Sequence[int] | None,
        keys: Sequence[str],
        propensity: float,
    ) -> None:
        self.job = job
        self.revision = revision
        self.rows = rows
        self.count = len(rows)
        self.places = places
        self.keys = keys
        self.propensity = propensity
        self.predictions: list[Prediction] = []
        self.fallbacks = 0
        self.error: PenstockError | None = None

    def name_rows(self) -> list[str]:
        """What the caller calls each row: the request's own id where that is all of it, else with the place: `id/2`."""
        caller_id = self.job.caller_id
        if not caller_id or (self.count == 1 and self.places is None):
            return [caller_id] * self.count
        places = range(self.count) if self.places is None else self.places
        return [f"{caller_id}/{place}" for place in places]


class Job:
    """One request for predictions.

    Attributes:
        live: the deployment as it was when the request came.
        call: what is asked.
        at_us: event time, microseconds since 1970.
        started: `time.perf_counter()` when the request began.
        deadline: on the same clock: not worth answering later.
        parts: what it was divided into.
        done: set on the event loop when all parts are answered.
        caller_id: what the caller calls the request; may be empty.
    """

    __slots__ = ("at_us", "call", "caller_id", "deadline", "done", "left", "live", "parts", "started")

    def __init__(
        self, live: LiveDeployment, call: Call, at_us: int, started: float, deadline: float, caller_id: str
    ) -> None:
        self.live = live
        self.call = call
        self.at_us = at_us
        self.started = started
        self.deadline = deadline
        self.caller_id = caller_id
        self.parts: list[Part] = []
        self.left = 0
        self.done: asyncio.Future[None] | None = None

    def finish_part(self) -> None:
        """One more part has its answer."""
        self.left -= 1
        if not self.left and self.done is not None and not self.done.done():
            self.done.set_result(None)

    def collect(self) -> Answer:
        """The answer for all rows, in order; asked for once.

        Raises:
            PenstockError: what went wrong with the first part that has no answer.
        """
        parts, self.parts = self.parts, []  # a job and its parts hold each other, and would wait for the collector
        for part in parts:
            if part.error is not None:
                raise part.error
        has_fallback = any([part.fallbacks for part in parts])
        if len(parts) == 1:
            return Answer(self.live, parts[0].predictions, has_fallback)
        found = {
            place: prediction
            for part in parts
            for place, prediction in zip(part.places or (), part.predictions, strict=True)
        }
        return Answer(self.live, [found[place] for place in range(len(found))], has_fallback)
