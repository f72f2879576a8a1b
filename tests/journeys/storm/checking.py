"""Holds what a server knows against what its writers remember."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from journeys.storm.journal import Batch, Journal, Register, RunJournal, digest, value_at
from journeys.storm.wire import Fate, Wire
from journeys.storm.writer import SERIES, SHARED

_Point = tuple[int, int, float]  # step, time, value


def check_journals(wire: Wire, journals: Sequence[Journal]) -> None:
    """Everything acknowledged is there once; what was refused is not; what nobody answered is there whole or not."""
    known = {run["info"]["run_id"]: texts_of(run["data"], "tags") for run in _all_runs(wire)}
    check_tokens(Counter(tags["token"] for tags in known.values()), journals)
    for journal in journals:
        for run in journal.runs:
            check_run(wire, run)
        check_experiments(wire, journal)
        check_versions(wire, journal.name, journal.versions[journal.name])
        check_moves(wire, journal)
    check_versions(wire, SHARED, {token: n for each in journals for token, n in each.versions[SHARED].items()})


def check_tokens(found: Counter[str], journals: Sequence[Journal]) -> None:
    """No run is lost, doubled, or came from nowhere."""
    fates = {token: fate for journal in journals for token, fate in journal.tokens.items()}
    assert set(found.values()) <= {1}
    assert set(found) <= {token for token, fate in fates.items() if fate is not Fate.REFUSED}
    assert {token for token, fate in fates.items() if fate is Fate.DONE} <= set(found)


def check_run(wire: Wire, run: RunJournal) -> None:
    """One run, with all that was logged to it."""
    held = wire.get("runs/get", run_id=run.run_id).json()["run"]
    series = {key: history(wire, run.run_id, key) for key in ("loss", *(f"m{n}" for n in range(SERIES)))}
    check_points(run, series["loss"])
    check_batches(run, [point for key, points in series.items() if key != "loss" for point in points], held["data"])
    check_latest(series, held["data"].get("metrics", []))
    params, tags = texts_of(held["data"], "params"), texts_of(held["data"], "tags")
    alone = {key: value for key, value in params.items() if key.startswith("p")}
    assert set(alone) <= {key for key, fate in run.params.items() if fate is not Fate.REFUSED}
    assert {key for key, fate in run.params.items() if fate is Fate.DONE} <= set(alone)
    assert all(key == value for key, value in alone.items())
    for key, register in run.tags.items():
        assert tags.get(key) in register.allowed, (run.run_id, key, tags.get(key), register.allowed)
    assert held["info"]["status"] in run.status.allowed
    check_files(wire, run.root, run.files)


def check_points(run: RunJournal, found: list[_Point]) -> None:
    """Points that were sent alone."""
    steps = [step for step, _, _ in found]
    assert len(steps) == len(set(steps)), f"points of {run.run_id} are there twice"
    assert set(steps) <= {step for step, fate in run.points.items() if fate is not Fate.REFUSED}
    lost = {step for step, fate in run.points.items() if fate is Fate.DONE} - set(steps)
    assert not lost, f"points of {run.run_id} are lost: {sorted(lost)}"
    assert all((at, value) == (step, value_at(step)) for step, at, value in found)


def check_batches(run: RunJournal, found: list[_Point], data: dict[str, Any]) -> None:
    """Batches are whole or absent: points, parameters and tags."""
    points: dict[int, list[_Point]] = defaultdict(list)
    for point in found:
        points[point[0]].append(point)
    params, tags = texts_of(data, "params"), texts_of(data, "tags")
    assert set(points) <= {batch.number for batch in run.batches}
    for batch in run.batches:
        is_there = _is_there(batch, points[batch.number], params, tags)
        assert is_there in _possible(batch.fate), f"batch {batch} of {run.run_id}"


def _is_there(batch: Batch, points: list[_Point], params: dict[str, str], tags: dict[str, str]) -> bool:
    """Whether a batch is there; part of one is an error."""
    times = [batch.number * 1_000 + place for place in range(batch.size)]
    expected = [(batch.number, at, value_at(batch.number)) for at in times]
    texts = {f"b{batch.number}.{place}": str(batch.number) for place in range(batch.texts)}
    parts = [bool(points), *(key in held for held in (params, tags) for key in texts)]
    assert len(set(parts)) == 1, f"half of a batch: {batch}"
    if parts[0]:
        assert sorted(points) == expected, f"not the points of {batch}"
        assert all(held[key] == value for held in (params, tags) for key, value in texts.items())
    return parts[0]


def _possible(fate: Fate) -> set[bool]:
    return {Fate.DONE: {True}, Fate.REFUSED: {False}, Fate.UNKNOWN: {True, False}}[fate]


def check_latest(series: dict[str, list[_Point]], latest: list[dict[str, Any]]) -> None:
    """The values shown with a run are those of its last points."""
    told = {each["key"]: (each["step"], each["timestamp"], each["value"]) for each in latest}
    assert told == {key: max(points) for key, points in series.items() if points}


def check_files(wire: Wire, root: str, files: dict[str, Register]) -> None:
    """Artifacts are whole, and the last ones; a listing shows those and no others."""
    listed = wire.get("/api/2.0/mlflow-artifacts/artifacts", path=f"{root}/folder").json().get("files", [])
    sizes = {f"folder/{each['path']}": each.get("file_size", 0) for each in listed}
    found = {}
    for path, register in files.items():
        answer = wire.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}")
        assert answer.status in (200, 404), (path, answer.status, answer.body[:200])
        got = digest(answer.body) if answer.status == 200 else None
        assert got in register.allowed, f"{root}/{path} is not what was sent: {answer.status} {len(answer.body)} bytes"
        if got is not None:
            found[path] = len(answer.body)
    assert found == sizes


def check_experiments(wire: Wire, journal: Journal) -> None:
    """Experiments that were acknowledged are there, those that were refused are not."""
    for name, fate in journal.experiments.items():
        answer = wire.get("experiments/get-by-name", experiment_name=name)
        assert (answer.status == 200) in _possible(fate), (name, fate, answer.status)


def check_versions(wire: Wire, model: str, sent: dict[str, int]) -> None:
    """Versions have no holes, each came from one request, and has the number that this was answered."""
    found: dict[int, str] = {}
    for version in _pages(wire, "model-versions/search", "model_versions", filter=f"name='{model}'", max_results=1_000):
        found[int(version["version"])] = next(tag["value"] for tag in version["tags"] if tag["key"] == "token")
    assert sorted(found) == list(range(1, len(found) + 1))
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= set(sent)
    assert {number: token for token, number in sent.items() if number}.items() <= found.items()


def check_moves(wire: Wire, journal: Journal) -> None:
    """The history of an alias is that of the moves that were acknowledged, in their order, with perhaps others."""
    rows = wire.get(f"/api/v1/models/{journal.name}/alias-history", limit=1_000).json()
    rows.reverse()
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    history = [row["after"] for row in rows]
    places = {0}  # in the history, after the moves so far
    for version, fate in journal.moves:
        moved = {
            place if place and history[place - 1] == version else place + 1
            for place in places
            if (place and history[place - 1] == version) or (place < len(history) and history[place] == version)
        }
        places = {Fate.DONE: moved, Fate.REFUSED: places, Fate.UNKNOWN: places | moved}[fate]
    assert len(history) in places, (journal.name, journal.moves, history)


def history(wire: Wire, run_id: str, key: str) -> list[_Point]:
    points: list[_Point] = []
    for point in _pages(wire, "metrics/get-history", "metrics", run_id=run_id, metric_key=key, max_results=20_000):
        points.append((point["step"], point["timestamp"], point["value"]))
    return points


def _pages(wire: Wire, path: str, what: str, /, **query: Any) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = wire.get(path, **query, **({"page_token": token} if token else {})).json()
        yield from page.get(what, [])
        token = page.get("next_page_token", "")
        if not token:
            return


def _all_runs(wire: Wire) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        answer = wire.post("runs/search", {"experiment_ids": ["0"], "max_results": 1_000, "page_token": token})
        assert answer.status == 200, answer.body
        yield from answer.json().get("runs", [])
        token = answer.json().get("next_page_token", "")
        if not token:
            return


def texts_of(data: dict[str, Any], what: str) -> dict[str, str]:
    return {each["key"]: each["value"] for each in data.get(what, [])}
