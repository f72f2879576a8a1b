"""The verbs of the model registry: versions that never change, and aliases that move."""

from datetime import UTC, datetime

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref, ReportId, RunId, check_name
from penstock.registry.format.types import ModelInfo
from penstock.registry.names import check_alias, parse_version_name
from penstock.registry.store import RegistryStore
from penstock.registry.types import Alias, AliasMove, Model, ModelVersion, VersionStatus, version_ref
from penstock.storage.database import Database
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads
from penstock.tracking.names import check_texts, check_value

PAGE_LIMIT = 1_000


class RegistryService:
    """Models and their versions. Bytes are in the object store already; a version names the tree of its directory.

    Verbs that may find nothing to do are declared with `logs` and write their audit entry only when they did something.
    """

    noun = "registry"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = RegistryStore(db)

    @logs
    def register(
        self,
        tx: Transaction,
        model: str,
        run_id: RunId | None,
        tree: Digest,
        info: ModelInfo,
        reference: Digest | None = None,
        report_id: ReportId | None = None,
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> ModelVersion:
        """Make a model directory the next version of a model; the same directory of the same run gives the same one.

        Args:
            model: its name; the model is made when there is none.
            run_id: the run that made it; None for a model from elsewhere.
            tree: the model directory in the object store.
            info: what `save_model` returned.
            reference: rows the model was tested on, as Parquet in the object store.
            report_id: its evaluation.
            tags: texts by key.
        """
        held = self._open(tx, model)
        known = self._store.find_made(tx, model, run_id, tree)
        if known is not None:
            return known
        version = ModelVersion(
            model=model,
            version=held.latest_version + 1,
            run_id=run_id,
            tree=tree,
            task=info.task,
            flavor=info.flavor,
            signature=info.signature,
            classes=info.classes,
            label=info.label,
            reference=reference,
            report_id=report_id,
            created_at=tx.now,
            created_by=tx.actor.name,
            tags=check_texts(tags, "tags"),
        )
        self._store.add_version(tx, version)
        keep_objects(tx, version.ref, filter(None, (tree, reference)))
        if run_id is not None:
            tx.link(Ref("run", run_id), version.ref, "produced")
        tx.record("registry.register", version.ref, run_id=run_id, tree=tree, report_id=report_id, task=info.task)
        return version

    @reads
    def get_model(self, tx: Transaction, model: str) -> Model:
        """A model by its name."""
        found = self._store.find_model(tx, model)
        if found is None:
            raise _no_model(model)
        return found

    @reads
    def list_models(self, tx: Transaction, limit: int = 100, after: str = "") -> list[Model]:
        """Models by name; to go on, give the last name as `after`."""
        return self._store.list_models(tx, _check_limit(limit), after)

    @reads
    def get_version(self, tx: Transaction, model: str, version: int) -> ModelVersion:
        """A version by its number.

        Raises:
            NotFoundError: no such model or version.
        """
        return self._get(tx, model, version)

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
        self.get_model.join(tx, model)
        return self._store.list_versions(tx, model, _check_limit(limit), before, status)

    @reads
    def list_versions_of_run(self, tx: Transaction, run_id: RunId) -> list[ModelVersion]:
        """The versions that a run made."""
        return self._store.list_of_run(tx, run_id)

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
        held = self.get_model.join(tx, meant.model)
        if meant.alias:
            return self._get(tx, held.name, self._get_alias(tx, held.name, meant.alias).version)
        return self._get(tx, held.name, held.latest_version if meant.version is None else meant.version)

    @logs
    def move_alias(self, tx: Transaction, model: str, alias: str, version: int, reason: str = "") -> ModelVersion:
        """Point an alias at a version; it is made when there is none.

        Raises:
            NotFoundError: no such model or version.
            ConflictError: the version is archived.
        """
        self._lock(tx, model)
        target = self._get(tx, model, version)
        before = self._store.find_alias(tx, model, check_alias(alias))
        if before is not None and before.version == version:
            return target
        if target.status is VersionStatus.ARCHIVED:
            raise ConflictError(
                f"version {version} of model {model!r} is archived and cannot become {alias!r}",
                hint="set its status to ready first",
            )
        moved = Alias(model=model, alias=alias, version=version, moved_at=tx.now, moved_by=tx.actor.name, reason=reason)
        self._store.set_alias(tx, moved)
        self._note_move(tx, model, alias, before, version, reason)
        return target

    @logs
    def remove_alias(self, tx: Transaction, model: str, alias: str, reason: str = "") -> None:
        """Forget an alias; its history stays. One that is not there is left alone."""
        self._lock(tx, model)
        before = self._store.find_alias(tx, model, alias)
        if before is not None:
            self._store.remove_alias(tx, model, alias)
            self._note_move(tx, model, alias, before, None, reason)

    @reads
    def find_alias(self, tx: Transaction, model: str, alias: str) -> Alias | None:
        """An alias as it stands; None when the model or the alias is not there."""
        return self._store.find_alias(tx, model, alias)

    @reads
    def list_aliases(self, tx: Transaction, model: str) -> list[Alias]:
        """The aliases of a model, by name."""
        self.get_model.join(tx, model)
        return self._store.list_aliases(tx, model)

    @reads
    def alias_history(self, tx: Transaction, model: str, alias: str = "", limit: int = 100) -> list[AliasMove]:
        """Who moved an alias, or any alias of the model, when, from and to where, and why; newest first."""
        self.get_model.join(tx, model)
        return self._store.list_moves(tx, model, alias, _check_limit(limit))

    @reads
    def alias_at(self, tx: Transaction, model: str, alias: str, time: datetime) -> ModelVersion | None:
        """The version that an alias meant at a moment (in UTC unless it says otherwise); None when it was not there."""
        moment = time if time.tzinfo else time.replace(tzinfo=UTC)
        move = self._store.find_move_at(tx, model, alias, moment)
        return None if move is None or move.after is None else self._get(tx, model, move.after)

    @logs
    def set_status(
        self, tx: Transaction, model: str, version: int, status: VersionStatus, reason: str = ""
    ) -> ModelVersion:
        """Archive a version, or make an archived one ready again.

        Raises:
            ConflictError: an alias still points at the version.
        """
        self._lock(tx, model)
        target = self._get(tx, model, version)
        if target.status is status:
            return target
        holder = next((held for held in self._store.list_aliases(tx, model) if held.version == version), None)
        if holder is not None and status is VersionStatus.ARCHIVED:
            raise ConflictError(
                f"version {version} of model {model!r} is its {holder.alias!r} and cannot be archived",
                hint="move the alias first",
            )
        self._store.set_status(tx, target, status)
        tx.record("registry.set_status", target.ref, before=target.status, after=status, reason=reason)
        return structs.replace(target, status=status)

    @logs
    def set_tags(self, tx: Transaction, model: str, version: int, tags: dict[str, str]) -> ModelVersion:
        """Set tags of a version; those not named stay."""
        target = self._get(tx, model, version)
        changed = {key: value for key, value in check_texts(tags, "tags").items() if target.tags.get(key) != value}
        if changed:
            self._store.set_tags(tx, target, changed)
            tx.record("registry.set_tags", target.ref, tags=changed)
        return structs.replace(target, tags=target.tags | changed)

    def _open(self, tx: Transaction, name: str) -> Model:
        """The model, locked; made when there is none."""
        made = Model(name=check_name(name, "model"), latest_version=0, created_at=tx.now, created_by=tx.actor.name)
        self._store.add_model(tx, made)
        return self._lock(tx, name)

    def _lock(self, tx: Transaction, name: str) -> Model:
        found = self._store.lock_model(tx, name)
        if found is None:
            raise _no_model(name)
        return found

    def _get(self, tx: Transaction, model: str, version: int) -> ModelVersion:
        found = self._store.find_version(tx, model, version)
        if found is not None:
            return found
        held = self._store.find_model(tx, model)
        if held is None:
            raise _no_model(model)
        raise NotFoundError(f"model {model!r} has no version {version}", hint=f"its newest is {held.latest_version}")

    def _get_alias(self, tx: Transaction, model: str, alias: str) -> Alias:
        found = self._store.find_alias(tx, model, alias)
        if found is None:
            known = ", ".join(held.alias for held in self._store.list_aliases(tx, model)) or "none yet"
            raise NotFoundError(f"model {model!r} has no alias {alias!r}", hint=f"its aliases: {known}")
        return found

    def _note_move(
        self, tx: Transaction, model: str, alias: str, before: Alias | None, after: int | None, reason: str
    ) -> None:
        move = AliasMove(
            model=model,
            alias=alias,
            number=self._store.count_moves(tx, model, alias) + 1,
            at=tx.now,
            actor=tx.actor.name,
            reason=check_value(reason, "reason"),
            before=None if before is None else before.version,
            after=after,
        )
        self._store.add_move(tx, move)
        action, subject = "registry.remove_alias", Ref("model", model)
        if after is not None:
            action, subject = "registry.move_alias", version_ref(model, after)
        tx.record(action, subject, alias=alias, before=move.before, after=after, reason=reason)


def _check_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidInputError(f"limit {limit} is not between 1 and {PAGE_LIMIT}", field="limit")
    return limit


def _no_model(name: str) -> NotFoundError:
    return NotFoundError(f"there is no model {name!r}", hint="'penstock models list' names those there are")
