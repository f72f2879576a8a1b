"""Whom artifacts belong to: a run, a logged model, or the server itself; and whose the paths of the proxy are.

A home is written `run:ID` or `logged-model:ID`. What belongs to neither lies in the free space of the server, where
experiments with an artifact location of their own may keep things.
"""

from itertools import pairwise

from msgspec import Struct
from sqlalchemy import Table, select

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.paths import check_folder
from penstock.tracking.locations import SCHEME
from penstock.tracking.logged_models.names import MODEL_ID
from penstock.tracking.logged_models.tables import logged_models
from penstock.tracking.tables import runs

FREE_SPACE = "server:artifacts"
_ROOT = "artifacts"  # the last part of a root that belongs to a run or a logged model
_KINDS = {"run": runs, "logged-model": logged_models}


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
        ConflictError: something is added to a run or logged model that is deleted.
    """
    if home == FREE_SPACE:
        return Ref.parse(home)
    kind, _, name = home.partition(":")
    if kind not in _KINDS:
        raise InvalidInputError(
            f"artifacts have no home {home[:100]!r}",
            hint=f"a home is run:ID, logged-model:ID or {FREE_SPACE}",
            field="home",
        )
    owner = _KINDS[kind]
    row = tx.execute(select(owner.c.deleted_at).where(owner.c.id == name)).one_or_none()
    if row is None:
        raise _no_run(name) if kind == "run" else NotFoundError(f"there is no logged model {name[:100]!r}")
    if for_writing and row.deleted_at is not None:
        told = "restore it first" if kind == "run" else "log it again"
        raise ConflictError(f"{kind.replace('-', ' ')} {name} is deleted", hint=told)
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
    names = [parts[number] for number in named]
    owners = [(run_home(name), uri) for name, uri in _list_roots(tx, runs, names)]
    names = [name for name in names if MODEL_ID.fullmatch(name)]
    owners += [(logged_model_home(name), uri) for name, uri in _list_roots(tx, logged_models, names)]
    for home, uri in owners:
        root = uri.removeprefix(SCHEME)
        if root != uri and f"{path}/".startswith(f"{root}/"):
            places.append(Place(home, path[len(root) + 1 :]))
    return min(places, key=lambda place: len(place.path), default=Place(FREE_SPACE, path))


def find_root(tx: Transaction, run_id: str) -> str:
    """The URI of a run's artifacts, as clients know it; NotFoundError where there is no such run."""
    for _, uri in _list_roots(tx, runs, [run_id]):
        return uri
    raise _no_run(run_id)


def _list_roots(tx: Transaction, owners: Table, ids: list[str]) -> list[tuple[str, str]]:
    """Those of the runs or logged models that are there, with the URIs of their artifacts."""
    query = select(owners.c.id, owners.c.artifact_uri).where(owners.c.id.in_(ids))
    return [(row.id, row.artifact_uri) for row in tx.execute(query)] if ids else []


def _no_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"there is no run {run_id[:100]!r}", hint="'penstock runs list' names those there are")
