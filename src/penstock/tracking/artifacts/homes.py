"""Whom artifacts belong to: a run, a logged model, or the server itself; and whose the paths of the proxy are.

A home is written `run:ID` or `logged-model:ID`. What belongs to neither lies in the free space of the server, where
experiments with an artifact location of their own may keep things.
"""

import re
from itertools import pairwise

from msgspec import Struct
from sqlalchemy import select

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.paths import check_folder
from penstock.tracking.locations import SCHEME
from penstock.tracking.tables import runs

FREE_SPACE = "server:artifacts"
_ROOT = "artifacts"  # the last part of a root that belongs to a run or a logged model
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


class Place(Struct, frozen=True):
    """Where an artifact, or a folder of artifacts, lies."""

    home: str
    path: str  # empty: the home itself


def run_home(run_id: str) -> str:
    """The home of what belongs to a run."""
    return f"run:{run_id}"


def logged_model_home(model_id: str) -> str:
    """The home of what belongs to a logged model."""
    return f"logged-model:{model_id}"


def check_home(tx: Transaction, home: str, *, for_writing: bool) -> Ref:
    """The home as a reference, when it is there and, where something is added, not deleted.

    Raises:
        InvalidInputError: this is no home.
        NotFoundError: there is no such run or logged model.
        ConflictError: something is added to a run that is deleted.
    """
    if home == FREE_SPACE:
        return Ref.parse(home)
    kind, _, name = home.partition(":")
    if kind == "run":
        _check_run(tx, name, for_writing=for_writing)
    elif kind != "logged-model":
        raise InvalidInputError(
            f"artifacts have no home {home[:100]!r}",
            hint=f"a home is run:ID, logged-model:ID or {FREE_SPACE}",
            field="home",
        )
    elif not _MODEL_ID.fullmatch(name):
        raise NotFoundError(f"there is no logged model {name[:100]!r}")
    return Ref(kind, name)


def find_place(tx: Transaction, path: str) -> Place:
    """Whose a path of the proxy is: that of the run or logged model whose root it begins with, else the server's.

    Raises:
        InvalidInputError: the path could lead elsewhere.
    """
    path = check_folder(path)
    parts = path.split("/")
    named = [number for number, (_, one_behind) in enumerate(pairwise(parts)) if one_behind == _ROOT]
    places = []
    for run_id, uri in _list_roots(tx, [parts[number] for number in named]):
        root = uri.removeprefix(SCHEME)
        if root != uri and f"{path}/".startswith(f"{root}/"):
            places.append(Place(run_home(run_id), path[len(root) + 1 :]))
    for number in named:
        if _MODEL_ID.fullmatch(parts[number]) and parts[number - 1 : number] == ["models"]:
            places.append(Place(logged_model_home(parts[number]), "/".join(parts[number + 2 :])))
            break
    return min(places, key=lambda place: len(place.path), default=Place(FREE_SPACE, path))


def find_root(tx: Transaction, run_id: str) -> str:
    """The URI of a run's artifacts, as clients know it; NotFoundError where there is no such run."""
    for _, uri in _list_roots(tx, [run_id]):
        return uri
    raise _no_run(run_id)


def _check_run(tx: Transaction, run_id: str, *, for_writing: bool) -> None:
    row = tx.execute(select(runs.c.deleted_at).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise _no_run(run_id)
    if for_writing and row.deleted_at is not None:
        raise ConflictError(f"run {run_id} is deleted", hint="restore it first")


def _list_roots(tx: Transaction, run_ids: list[str]) -> list[tuple[str, str]]:
    """Those of the runs that are there, with the URIs of their artifacts."""
    query = select(runs.c.id, runs.c.artifact_uri).where(runs.c.id.in_(run_ids))
    return [(row.id, row.artifact_uri) for row in tx.execute(query)] if run_ids else []


def _no_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"there is no run {run_id[:100]!r}", hint="'penstock runs list' names those there are")
