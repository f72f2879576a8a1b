"""From a call to its answer: choose revisions, predict a batch, fall back where a model fails, log, then answer."""

import logging
import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from penstock.core import failpoints
from penstock.core.clock import Clock
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import PredictionId
from penstock.predictions.blocks import STATUSES, Block, Columns, Packed
from penstock.predictions.log import PredictionLog
from penstock.predictions.types import Status
from penstock.serving.calls import MAXIMUM_KEY, Call, Parameters, Prediction
from penstock.serving.entries import Output, arrange, pack_outputs, rows_of, spread
from penstock.serving.http import ModelFailedError
from penstock.serving.inputs import Rows
from penstock.serving.live import LiveDeployment, LiveRevision, Outputs
from penstock.serving.parts import Job, Part
from penstock.serving.ranking import rank

PATIENCE = 8  # rows of one request that may fail by themselves before the rest of them is given up
log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

Found = tuple[Output, Status, tuple[str, ...]]  # an answer, how it came about, and the rules that changed it


class Predictor:
    """Answers jobs. Safe to use from several threads."""

    def __init__(self, segments: PredictionLog, clock: Clock) -> None:
        self._segments = segments
        self._clock = clock

    def prepare(self, live: LiveDeployment, call: Call, started: float, deadline: float, caller_id: str = "") -> Job:
        """Read the rows of a call, and choose who answers them.

        Args:
            live: the deployment as it is at this moment.
            call: the request.
            started: `time.perf_counter()` when the request began.
            deadline: on the same clock.
            caller_id: what the caller calls the request.

        Raises:
            InvalidInputError: a row does not fit the model; `field` says where.
            NotFoundError: the version that was asked for takes no traffic.
        """
        asked = call.parameters
        if asked.timeout is not None:
            deadline = min(deadline, started + asked.timeout / 1e6)
        job = Job(live, call, asked.event_time_us(self._clock.now()), started, deadline, caller_id)
        _check_asked(live, call)
        rows = call.read_rows(live.stable.decoder)
        keys = _find_keys(live, rows, asked)
        if call.version is not None:
            job.parts.append(Part(job, _find_version(live, call.version), rows, None, keys, 1.0))
        elif live.candidate is None:
            job.parts.append(Part(job, live.stable, rows, None, keys, 1.0))
        else:
            chosen = [live.choose(key) for key in keys or [""] * len(rows)]
            job.parts.extend(_divide(job, rows, keys, chosen))
        return job

    def answer(self, batch: Sequence[Part]) -> None:
        """Predict and log some parts, all for one revision; each gets its predictions, or an error that is its own.

        Raises:
            StorageFullError: the log cannot be written.
        """
        revision = batch[0].revision
        try:
            rows = Rows.join([_fitting(part, revision) for part in batch])
            outputs = _run(revision, rows)
            answers, rules = _show(batch, revision, outputs)
        except Exception as error:  # whatever a model raises, the caller gets an answer if there is any
            if len(batch) > 1:  # one request must not spoil another's answer
                for part in batch:
                    self.answer([part])
            else:
                self._recover(batch[0], error)
            return
        self._finish(batch, rows, outputs, answers, rules)

    def _recover(self, part: Part, error: Exception) -> None:
        """Answer a part on which its revision failed: its rows apart, and by others in its place."""
        live = part.job.live
        if part.revision is live.stable and isinstance(error, InvalidInputError):
            part.error = error
            return
        _tell(part, part.revision, error)
        found: list[Found | None] = [None] * part.count
        left = list(range(part.count))
        try:
            if len(left) > 1:
                left = _ask(part, part.revision, _halve(left), found)
            for model in _line_up(live, part.revision)[1:]:
                left = _ask(part, model, [left], found) if left else left
        except InvalidInputError as refusal:
            part.error = refusal
            return
        problem = type(error).__name__
        spare = _find_spare(part, problem)
        self._finish_apart(part, [spare if item is None else item for item in found], problem)

    def _finish(
        self,
        batch: Sequence[Part],
        rows: Rows,
        outputs: Outputs,
        answers: list[Output],
        rules: list[tuple[str, ...]],
    ) -> None:
        """Log a batch on which nothing failed, as arrays where that can be, and give each part its predictions."""
        revision = batch[0].revision
        columns, packed = pack_outputs(revision.columns, outputs)
        if columns is None:
            packed = [[_encoder.encode(answer).decode() for answer in answers]]
        is_read_alike = all(revision.fits(part.job.live.stable) for part in batch)
        matrix = rows.exact_matrix() if is_read_alike and columns is not None else None
        inputs: Packed = _texts(batch) if matrix is None else matrix.tobytes()
        ids = self._log(batch, columns, inputs, packed, b"")
        at = 0
        for part in batch:
            end = at + part.count
            held = zip(ids[at:end], answers[at:end], strict=True)
            part.predictions = [Prediction(number, revision, "ok", answer, part.propensity) for number, answer in held]
            if rules:
                own = zip(part.predictions, rules[at:end], strict=True)
                part.predictions = [replace(prediction, rules=changed) for prediction, changed in own]
            at = end

    def _finish_apart(self, part: Part, found: Sequence[Found], problem: str) -> None:
        """Log a part whose rows were answered one way or another."""
        texts = [_encoder.encode(output).decode() for output, _, _ in found]
        statuses = bytes(STATUSES.index(status) for _, status, _ in found)
        ids = self._log([part], None, _texts([part]), [texts], statuses)
        if any(status == "error" for _, status, _ in found):
            part.error = ModelFailedError(
                f"the model of deployment {part.job.live.name!r} failed, and nothing could answer in its place",
                hint=f"see the gateway's log for {problem}",
                prediction_id=ids[0],
            )
            return
        part.predictions = [
            Prediction(number, part.revision, status, output, part.propensity, rules)
            for number, (output, status, rules) in zip(ids, found, strict=True)
        ]
        part.fallbacks = sum(status == "fallback" for _, status, _ in found)

    def _log(
        self,
        batch: Sequence[Part],
        columns: Columns | None,
        inputs: Packed,
        outputs: list[Packed],
        statuses: bytes,
    ) -> list[PredictionId]:
        now = time.perf_counter()
        sizes = [part.count for part in batch]
        has_keys = any(part.keys for part in batch)
        has_names = any(part.job.caller_id for part in batch)
        block = Block(
            rows=sum(sizes),
            at_us=spread([part.job.at_us for part in batch], sizes, "<i8"),
            latency_us=spread([int((now - part.job.started) * 1e6) for part in batch], sizes, "<i4"),
            revisions=spread([batch[0].revision.route.number] * len(batch), sizes, "<i4"),
            inputs=inputs,
            outputs=outputs,
            keys=[key for part in batch for key in part.keys or [""] * part.count] if has_keys else [],
            statuses=statuses,
            propensity=b""
            if all(part.propensity == 1.0 for part in batch)
            else spread([part.propensity for part in batch], sizes, "<f8"),
            caller_ids=[name for part in batch for name in part.name_rows()] if has_names else [],
        )
        return self._segments.append(batch[0].job.live.name, block, columns)


def _check_asked(live: LiveDeployment, call: Call) -> None:
    """See that the deployment does what is asked for.

    Raises:
        InvalidInputError: its model is for another task, or does not know what a filter asks for.
    """
    task = live.stable.model.task
    if call.task not in (None, task):
        raise InvalidInputError(
            f"deployment {live.name!r} gives no lists of items; its task is {task}",
            hint=f"post to /predict/{live.name}",
        )
    if call.parameters.filter is not None and task == "ranking":
        rank([], [], live.stable.items, condition=call.parameters.filter)


def _show(
    batch: Sequence[Part], revision: LiveRevision, outputs: Outputs
) -> tuple[list[Output], list[tuple[str, ...]]]:
    """The answers to the rows of a batch, lists as they are shown; and the rules that changed each of these."""
    answers = rows_of(outputs)
    if "items" not in outputs:
        return answers, []
    shown: list[Output] = []
    rules: list[tuple[str, ...]] = []
    for part in batch:
        own = answers[len(shown) : len(shown) + part.count]
        rules += arrange(own, revision, part.job.live.route.rules, part.job.call.parameters)
        shown += own
    return shown, rules


def _find_spare(part: Part, problem: str) -> Found:
    """What is answered where every model failed: popular items, or the default answer, if there is any."""
    live = part.job.live
    if live.stable.baseline is not None:
        answers = [live.stable.baseline]
        rules = arrange(answers, live.stable, live.route.rules, part.job.call.parameters)
        return answers[0], "fallback", rules[0]
    if live.route.default:
        return live.route.default, "fallback", ()
    return {"error": problem}, "error", ()


def _find_keys(live: LiveDeployment, rows: Rows, parameters: Parameters) -> list[str]:
    """The sticky key of each row; nothing where no row has any."""
    if parameters.key is not None:
        return [str(parameters.key)] * len(rows)
    column = live.route.key
    if column is None or column not in rows.decoder.schema:
        return []
    return ["" if value is None else str(value)[:MAXIMUM_KEY] for value in rows.values(column)]


def _find_version(live: LiveDeployment, version: int) -> LiveRevision:
    revision = live.find_version(version)
    if revision is None:
        raise NotFoundError(f"deployment {live.name!r} does not serve version {version} now")
    return revision


def _divide(job: Job, rows: Rows, keys: Sequence[str], chosen: Sequence[LiveRevision]) -> list[Part]:
    """A part for each revision that was chosen for some rows."""
    parts = []
    for revision in {id(item): item for item in chosen}.values():
        chance = job.live.propensity(revision)
        places = [place for place, item in enumerate(chosen) if item is revision]
        if len(places) == len(rows):
            return [Part(job, revision, rows, None, keys, chance)]
        own = [keys[place] for place in places] if keys else []
        parts.append(Part(job, revision, rows.take(places), places, own, chance))
    return parts


def _fitting(part: Part, model: LiveRevision) -> Rows:
    """The rows as this revision reads them: one with another signature reads the request anew."""
    if model.fits(part.job.live.stable):
        return part.rows
    rows = part.job.call.read_rows(model.decoder)
    return rows if part.places is None else rows.take(part.places)


def _run(model: LiveRevision, rows: Rows) -> Outputs:
    failpoints.hit("serving.predict")
    return model.predict(rows)


def _ask(part: Part, model: LiveRevision, groups: list[list[int]], found: list[Found | None]) -> list[int]:
    """Let a revision answer some rows of a part, group by group; gives those on which it failed.

    A group that fails is halved until the rows at fault stand alone. Where many fail alone and none has an answer, the
    model is taken to fail on all.

    Raises:
        InvalidInputError: the stable revision cannot read them.
    """
    status: Status = "ok" if model is part.revision else "fallback"
    failed: list[int] = []
    waiting, has_answer = groups[::-1], False
    while waiting:
        places = waiting.pop()
        try:
            answers = rows_of(_run(model, _fitting(part, model).take(places)))
            rules = arrange(answers, model, part.job.live.route.rules, part.job.call.parameters) or [()] * len(places)
        except Exception as error:  # as in `answer`
            if model is part.job.live.stable and isinstance(error, InvalidInputError):
                raise
            _tell(part, model, error)
            if len(places) > 1:
                waiting.extend(_halve(places)[::-1])
                continue
            failed += places
            if len(failed) == PATIENCE and not has_answer:
                return sorted(failed + [place for group in waiting for place in group])
        else:
            has_answer = True
            for place, answer, changed in zip(places, answers, rules, strict=True):
                found[place] = (answer, status, changed)
    return failed


def _halve(places: list[int]) -> list[list[int]]:
    middle = len(places) // 2
    return [places[:middle], places[middle:]]


def _line_up(live: LiveDeployment, revision: LiveRevision) -> list[LiveRevision]:
    """Who is asked in turn. The revision before comes last, and only where the task has no baseline."""
    line = [revision]
    if revision is not live.stable:
        line.append(live.stable)
    if live.previous is not None and live.stable.baseline is None:
        line.append(live.previous)
    return line


def _texts(batch: Sequence[Part]) -> list[str]:
    return [text for part in batch for text in part.rows.texts()]


def _tell(part: Part, model: LiveRevision, error: Exception) -> None:
    fields = {"deployment": part.job.live.name, "revision": model.route.number, "problem": repr(error)}
    log.warning("a model failed: %s", error, extra=fields)
