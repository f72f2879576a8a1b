"""The verbs of the model registry: versions that never change, aliases that move, and the history of both."""

from datetime import UTC, datetime

from penstock.core.errors import ConflictError
from penstock.registry import search
from penstock.registry.lookup import check_limit, no_model
from penstock.registry.names import check_alias
from penstock.registry.take_over_verbs import TakeOverVerbs
from penstock.registry.types import (
    Alias,
    AliasMove,
    ModelChange,
    ModelPage,
    ModelVersion,
    VersionPage,
    VersionStatus,
)
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads

VERSION_LIMIT = 200_000  # of one search, as in MLflow


class RegistryService(TakeOverVerbs):
    """Models and their versions. Bytes are in the object store already; a version names the tree of its directory.

    Verbs that may find nothing to do are declared with `logs` and write their audit entry only when they did something.
    """

    @reads
    def search_models(
        self,
        tx: Transaction,
        filter: str = "",
        order_by: tuple[str, ...] = (),
        limit: int = 100,
        page_token: str = "",
    ) -> ModelPage:
        """Models that fulfil a filter.

        Args:
            filter: such as `name LIKE 'churn%' AND tags.team = 'risk'`.
            order_by: `name`, `creation_timestamp` or `last_updated_timestamp`, each with ASC or DESC.
            limit: at most so many, up to 1,000.
            page_token: from the page before.
        """
        query = search.select_models(filter, order_by)
        found = self._models.read(tx, search.page_of(query, check_limit(limit), page_token))
        return ModelPage(models=found[:limit], next_page_token=search.next_token(page_token, limit, len(found)))

    @reads
    def search_versions(
        self,
        tx: Transaction,
        filter: str = "",
        order_by: tuple[str, ...] = (),
        limit: int = 100,
        page_token: str = "",
    ) -> VersionPage:
        """Versions of any model that fulfil a filter.

        Args:
            filter: such as `name = 'churn' AND version_number > 3 AND tags.team = 'risk'`.
            order_by: `name`, `version_number`, `creation_timestamp` or `last_updated_timestamp`, with ASC or DESC.
            limit: at most so many, up to 200,000.
            page_token: from the page before.
        """
        query = search.select_found_versions(filter, order_by)
        found = self._versions.read(tx, search.page_of(query, check_limit(limit, VERSION_LIMIT), page_token))
        return VersionPage(versions=found[:limit], next_page_token=search.next_token(page_token, limit, len(found)))

    @logs
    def move_alias(
        self,
        tx: Transaction,
        model: str,
        alias: str,
        version: int,
        reason: str = "",
        evidence: tuple[str, ...] = (),
    ) -> ModelVersion:
        """Point an alias at a version; it is made when there is none.

        Args:
            model: its name.
            alias: which.
            version: where it points then.
            reason: for the record.
            evidence: what the decision rests on, as `kind:id`; the report of the version is added to it.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: the version is archived.
        """
        held = self._lock(tx, model)
        target = self._find_version(tx, held, version)
        before = self._models.find_alias(tx, held, check_alias(alias))
        if before is not None and before.version == version:
            return target
        if target.status is VersionStatus.ARCHIVED:
            raise ConflictError(
                f"version {version} of model {held.name!r} is archived and cannot become {alias!r}",
                hint="set its status to ready first",
            )
        for check in self._checks:
            check(tx, target, "promotion")
        moved = Alias(
            model=held.name, alias=alias, version=version, moved_at=tx.now, moved_by=tx.actor.name, reason=reason
        )
        self._models.set_alias(tx, held.key, moved)
        report = () if target.report_id is None else (f"report:{target.report_id}",)
        rests_on = tuple(dict.fromkeys([*evidence, *report]))
        self._note_move(tx, held, alias, before, target, reason, rests_on)
        return target

    @logs
    def remove_alias(
        self, tx: Transaction, model: str, alias: str, reason: str = "", evidence: tuple[str, ...] = ()
    ) -> None:
        """Forget an alias; its history stays. One that is not there is left alone."""
        held = self._lock(tx, model)
        before = self._models.find_alias(tx, held, alias)
        if before is not None:
            self._models.remove_alias(tx, held.key, alias)
            self._note_move(tx, held, alias, before, None, reason, evidence)

    @reads
    def find_alias(self, tx: Transaction, model: str, alias: str) -> Alias | None:
        """An alias as it stands; None when the model or the alias is not there."""
        held = self._models.find_named(tx, model) or self._models.find_former(tx, model)
        return None if held is None else self._models.find_alias(tx, held, alias)

    @reads
    def list_aliases(self, tx: Transaction, model: str) -> list[Alias]:
        """The aliases of a model, by name."""
        held = self._find_model(tx, model)
        return self._models.list_aliases(tx, {held.key: held.name})[held.key]

    @reads
    def alias_history(self, tx: Transaction, model: str, alias: str = "", limit: int = 100) -> list[AliasMove]:
        """Who moved an alias, or any alias of the model, when, where to, why and on what evidence; newest first."""
        return self._models.list_moves(tx, self._find_model(tx, model), alias, check_limit(limit))

    @reads
    def alias_at(self, tx: Transaction, model: str, alias: str, time: datetime) -> ModelVersion | None:
        """The version that an alias meant at a moment (in UTC unless it says otherwise); None when it was not there.

        Raises:
            NotFoundError: the version has been deleted since; `aliases_at` still tells its number.
        """
        held = self._find_model(tx, model)
        moves = self._models.list_moves_at(tx, held, alias, _in_utc(time))
        if not moves or moves[0].after is None:
            return None
        return self._find_version(tx, held, moves[0].after)

    @reads
    def aliases_at(self, tx: Transaction, model: str, time: datetime, alias: str = "") -> list[AliasMove]:
        """Where the aliases of a model pointed at a moment (in UTC unless it says otherwise): the last move of each."""
        moves = self._models.list_moves_at(tx, self._find_model(tx, model), alias, _in_utc(time))
        return [move for move in moves if move.after is not None]

    @reads
    def history(
        self, tx: Transaction, model: str, alias: str = "", until: datetime | None = None, limit: int = 100
    ) -> list[ModelChange]:
        """What happened to a model, newest first: moves of aliases, stages, statuses, names, deletions.

        Args:
            model: a name; all models that have or had it are meant, deleted ones too.
            alias: only what concerns this one.
            until: only what happened up to this moment.
            limit: at most so many.
        """
        keys = self._models.find_keys(tx, model)
        if not keys:
            raise no_model(model)
        moment = None if until is None else _in_utc(until)
        return self._models.list_changes(tx, keys, alias, moment, check_limit(limit))


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
