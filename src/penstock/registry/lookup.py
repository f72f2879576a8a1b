"""Finding models and versions, which every verb of the registry begins with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref, RunId
from penstock.registry.names import check_text, parse_version_name
from penstock.registry.store import ModelStore
from penstock.registry.types import Alias, ChangeKind, Model, ModelChange, ModelOverview, ModelVersion, VersionStatus
from penstock.registry.version_store import VersionStore
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import reads

PAGE_LIMIT = 1_000


class VersionUse(Struct, frozen=True):
    """Something that needs a version to stay."""

    user: Ref
    model: str
    version: int


FindUses = Callable[[Transaction], Iterable[VersionUse]]
Moment = Literal["registration", "promotion", "compiling"]
CheckVersion = Callable[[Transaction, ModelVersion, Moment], None]


class RegistryLookup:
    """What is there. A model is found by its name, or by one it had before, until another takes that."""

    noun = "registry"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._models = ModelStore(db)
        self._versions = VersionStore(db)
        self._uses: list[FindUses] = []
        self._checks: list[CheckVersion] = []

    def protect(self, find_uses: FindUses) -> None:
        """Name what knows of versions that are in use: these are not deleted."""
        self._uses.append(find_uses)

    def check_with(self, check: CheckVersion) -> None:
        """Name what may refuse a version, by an error, before it is registered and before an alias moves to it."""
        self._checks.append(check)

    @reads
    def get_model(self, tx: Transaction, model: str) -> Model:
        """A model by its name."""
        return self._find_model(tx, model)

    @reads
    def list_models(self, tx: Transaction, limit: int = 100, after: str = "") -> list[Model]:
        """Models by name; to go on, give the last name as `after`."""
        return self._models.list_all(tx, check_limit(limit), after)

    @reads
    def get_version(self, tx: Transaction, model: str, version: int) -> ModelVersion:
        """A version by its number.

        Raises:
            NotFoundError: no such model or version.
        """
        return self._find_version(tx, self._find_model(tx, model), version)

    @reads
    def list_versions(
        self,
        tx: Transaction,
        model: str,
        limit: int = 100,
        before: int | None = None,
        status: VersionStatus | None = None,
    ) -> list[ModelVersion]:
        """Versions of a model, newest first; to go on, give the last number as `before`."""
        return self._versions.list_of(tx, self._find_model(tx, model).key, check_limit(limit), before, status)

    @reads
    def list_versions_of_run(self, tx: Transaction, run_id: RunId) -> list[ModelVersion]:
        """The versions that a run made."""
        return self._versions.list_of_run(tx, run_id)

    @reads
    def resolve(self, tx: Transaction, name: str, model: str = "") -> ModelVersion:
        """The version that a name means just now.

        Args:
            name: `models:/NAME@ALIAS`, `models:/NAME/NUMBER` or `models:/NAME/latest`; with a model, also an alias or
                a number alone.
            model: the model, for names that do not say it.

        Raises:
            NotFoundError: no such model, version or alias.
        """
        meant = parse_version_name(name, model)
        held = self._find_model(tx, meant.model)
        if meant.alias:
            return self._find_version(tx, held, self._find_alias(tx, held, meant.alias))
        if meant.version is not None:
            return self._find_version(tx, held, meant.version)
        newest = self._versions.find_newest(tx, held.key)
        if newest is None:
            raise NotFoundError(f"model {held.name!r} has no version", hint="register one first")
        return newest

    def overview(self, tx: Transaction, models: Sequence[Model]) -> list[ModelOverview]:
        """Models with the newest version of each stage, and their aliases."""
        latest, aliases = (
            self._versions.list_latest(tx, models),
            self._models.list_aliases(tx, {model.key: model.name for model in models}),
        )
        return [
            ModelOverview(model=model, latest=tuple(latest[model.key]), aliases=tuple(aliases[model.key]))
            for model in models
        ]

    def aliases_of(self, tx: Transaction, versions: Sequence[ModelVersion]) -> dict[tuple[str, int], list[str]]:
        """The aliases of versions, by the key of the model and the number."""
        found: dict[tuple[str, int], list[str]] = {}
        for key, aliases in self._models.list_aliases(tx, {v.key: v.model for v in versions}).items():
            for alias in aliases:
                found.setdefault((key, alias.version), []).append(alias.alias)
        return found

    def _find_model(self, tx: Transaction, name: str) -> Model:
        found = self._models.find_named(tx, name) or self._models.find_former(tx, name)
        if found is None:
            raise no_model(name)
        return found

    def _lock(self, tx: Transaction, name: str) -> Model:
        locked = self._models.lock(tx, self._find_model(tx, name).key)
        if locked is None:
            raise no_model(name)
        return locked

    def _find_version(self, tx: Transaction, model: Model, version: int) -> ModelVersion:
        found = self._versions.find(tx, model.key, version) if 0 < version < 2**31 else None
        if found is None:
            raise self._no_version(tx, model, version)
        return found

    def _no_version(self, tx: Transaction, model: Model, version: int) -> NotFoundError:
        newest = self._versions.find_newest(tx, model.key)
        if 0 < version <= model.latest_version:
            return NotFoundError(f"version {version} of model {model.name!r} was deleted")
        hint = "it has none yet" if newest is None else f"its newest is {newest.version}"
        return NotFoundError(f"model {model.name!r} has no version {version}", hint=hint)

    def _find_alias(self, tx: Transaction, model: Model, alias: str) -> int:
        found = self._models.find_alias(tx, model, alias)
        if found is None:
            aliases = self._models.list_aliases(tx, {model.key: model.name})[model.key]
            known = ", ".join(held.alias for held in aliases) or "none yet"
            raise NotFoundError(f"model {model.name!r} has no alias {alias!r}", hint=f"its aliases: {known}")
        return found.version

    def _refuse_in_use(self, tx: Transaction, model: Model, version: int | None = None) -> None:
        """Refuse to delete a version, or any of the model, that something lives on."""
        for use in (use for find in self._uses for use in find(tx)):
            if version in (None, use.version) and self._is_named(tx, use.model, model):
                raise ConflictError(
                    f"version {use.version} of model {model.name!r} is in use by {use.user.kind} {use.user.id!r}",
                    hint=f"bring another version into traffic first, with 'penstock deploy' on {use.user.id!r}",
                )

    def _is_named(self, tx: Transaction, name: str, model: Model) -> bool:
        found = self._models.find_named(tx, name) or self._models.find_former(tx, name)
        return found is not None and found.key == model.key

    def _note(
        self,
        tx: Transaction,
        model: Model,
        kind: ChangeKind,
        *,
        alias: str = "",
        version: int | None = None,
        before: object = None,
        after: object = None,
        reason: str = "",
        evidence: Sequence[str] = (),
    ) -> None:
        """Add to the history of a model."""
        change = ModelChange(
            number=0,  # the store gives the next one
            at=tx.now,
            actor=tx.actor.name,
            kind=kind,
            alias=alias,
            version=version,
            before=None if before is None else str(before),
            after=None if after is None else str(after),
            reason=check_text(reason, "reason"),
            evidence=tuple(str(Ref.parse(ref)) for ref in evidence),
        )
        self._models.add_change(tx, model.key, change)

    def _drop_aliases(self, tx: Transaction, model: Model, reason: str, version: int | None = None) -> None:
        """Forget the aliases that point at a version, or all of a model."""
        for alias in self._models.list_aliases(tx, {model.key: model.name})[model.key]:
            if version in (None, alias.version):
                self._models.remove_alias(tx, model.key, alias.alias)
                self._note_move(tx, model, alias.alias, alias, None, reason, ())

    def _note_move(
        self,
        tx: Transaction,
        model: Model,
        alias: str,
        before: Alias | None,
        target: ModelVersion | None,
        reason: str,
        evidence: Sequence[str],
    ) -> None:
        was, now = None if before is None else before.version, None if target is None else target.version
        self._note(
            tx,
            model,
            ChangeKind.ALIAS,
            alias=alias,
            version=now,
            before=was,
            after=now,
            reason=reason,
            evidence=evidence,
        )
        detail = {"alias": alias, "before": was, "after": now, "reason": reason, "evidence": list(evidence)}
        action, subject = ("remove_alias", model.ref) if target is None else ("move_alias", target.ref)
        tx.record(f"registry.{action}", subject, **detail)


def check_limit(limit: int, most: int = PAGE_LIMIT) -> int:
    """The limit itself, when a page may be that long."""
    if not 1 <= limit <= most:
        raise InvalidInputError(f"limit {limit} is not between 1 and {most}", field="limit")
    return limit


def no_model(name: str) -> NotFoundError:
    """There is no such model."""
    return NotFoundError(f"there is no model {name!r}", hint="'penstock models list' names those there are")
