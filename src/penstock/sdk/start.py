"""Begins a run, or goes on with one."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError
from penstock.core.ids import Digest, RunId, new_hex_id
from penstock.sdk.connect import connect_place, default_place, is_url
from penstock.sdk.run import ActiveRun
from penstock.sdk.spool.folder import list_spools
from penstock.sdk.spool.held import HeldBegin, hold_bytes
from penstock.sdk.spool.roots import spool_root
from penstock.sdk.spool.sending import RunSpool
from penstock.tracking.capture import capture_source
from penstock.tracking.deliveries.records import Join
from penstock.tracking.names import check_key, check_run_id, check_texts

SYSTEM_METRICS = "PENSTOCK_SYSTEM_METRICS"  # `1`, or how many seconds apart
_EVERY_S = 10.0
_NO = ("", "0", "no", "off", "false")
_YES = ("1", "yes", "on", "true")


def start_run(
    experiment: str = "default",
    *,
    name: str = "",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    seed: int | None = None,
    parent: ActiveRun | str | None = None,
    run_id: str | None = None,
    system_metrics: bool | float | None = None,
    services: Services | None = None,
) -> ActiveRun:
    """Start a run; the Git commit, uncommitted changes, environment and seed are recorded with it.

    It needs no server at this moment: the run's id is made here, and everything is delivered when it can be.

    Args:
        experiment: the collection it belongs to; made if absent.
        name: for people; empty: made from its id.
        params: what it is started with.
        tags: free labels.
        seed: of the random numbers, when one was set.
        parent: the run that this one is a part of, or its id.
        run_id: go on with this run instead of starting one; it is opened again if it has ended.
        system_metrics: record what the machine does, every so many seconds; True: every ten. None: as
            PENSTOCK_SYSTEM_METRICS says, else not.
        services: where to record; None: where `penstock.connect()` leads.

    Raises:
        InvalidInputError: a name that cannot be one.
        NotFoundError: there is no project here and no PENSTOCK_URL; or the server has no such run.
    """
    place = services.place if services is not None else default_place()
    texts = check_texts({key: str(value) for key, value in (tags or {}).items()}, "tags")
    root = spool_root(place)
    every_s = _read_interval(system_metrics)
    if run_id is not None:
        run = _go_on(RunId(check_run_id(run_id)), root, place, services)
    else:
        if not experiment:
            raise InvalidInputError("an experiment needs a name", field="experiment")
        check_key(experiment, "experiment")
        if name:
            check_key(name, "name")
        run = _begin(root, place, services, (experiment, name), seed, _id_of(parent))
    if texts:
        run.set_tags(texts)
    if params:
        run.log_params(params)
    if every_s:
        run.watch_system(every_s)
    return run


def _begin(
    root: Path,
    place: str,
    services: Services | None,
    given: tuple[str, str],
    seed: int | None,
    parent: RunId | None,
) -> ActiveRun:
    experiment, name = given
    run_id = RunId(new_hex_id())
    spool = RunSpool(root, run_id, place, services, leads=True)
    source = capture_source(Path.cwd(), seed=seed, keep=lambda content: Digest(hold_bytes(spool.folder, content)))
    spool.append(lambda at: HeldBegin(run_id, at, experiment, name or f"run-{run_id[-6:]}", {}, source, parent))
    return ActiveRun(run_id, spool, place)


def _id_of(parent: ActiveRun | str | None) -> RunId | None:
    if parent is None:
        return None
    return parent.id if isinstance(parent, ActiveRun) else RunId(check_run_id(parent))


def _go_on(run_id: RunId, root: Path, place: str, services: Services | None) -> ActiveRun:
    if not any(list_spools(root, run_id)):  # one that waits here is known, and need not be there yet
        _check_there(run_id, place, services)
    spool = RunSpool(root, run_id, place, services, leads=True)
    spool.append(lambda at: Join(run_id, at, reopen=True))
    return ActiveRun(run_id, spool, place)


def _check_there(run_id: RunId, place: str, services: Services | None) -> None:
    """Refuse a run that the server has never heard of; without a server any id will do for now."""
    opened: Services | None = None
    try:
        opened = services or connect_place(place, patience_s=0.0)
        opened.tracking.get_run(run_id)
    except NotFoundError:
        raise
    except PenstockError:
        if not is_url(place):
            raise
    finally:
        if opened is not None and services is None:
            opened.close()


def _read_interval(given: bool | float | None) -> float:
    """How many seconds lie between two system metrics; 0 for none."""
    text = os.environ.get(SYSTEM_METRICS, "").strip().lower() if given is None else str(given).lower()
    if text in _NO:
        return 0.0
    if text in _YES and not (isinstance(given, (int, float)) and not isinstance(given, bool)):
        return _EVERY_S
    try:
        every_s = float(text)
    except ValueError:
        every_s = math.nan
    if not 0 < every_s < math.inf:
        raise InvalidInputError(
            f"system metrics cannot be taken every {text} seconds",
            hint="say True, or a number of seconds",
            field="system_metrics",
        )
    return every_s
