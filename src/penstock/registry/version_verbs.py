"""The verbs about versions: register, describe, tag, archive, delete."""

from typing import Any

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Digest, Ref, ReportId, RunId
from penstock.registry.format.types import ModelFacts, ModelInfo
from penstock.registry.model_verbs import ModelVerbs
from penstock.registry.names import URI_LIMIT, check_tags, check_text
from penstock.registry.types import ChangeKind, Model, ModelVersion, Stage, VersionStatus
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, writes
from penstock.tracking.names import check_run_id

UNKNOWN = ModelFacts()


class VersionVerbs(ModelVerbs):
    """Versions, whose files never change, and what is said of them."""

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
        held = self._open_model(tx, model)
        known = self._versions.find_made(tx, held.key, run_id, tree)
        if known is not None:
            return known
        facts = ModelFacts(info.flavor, info.task, info.signature, info.classes, info.label, info.fast_form)
        return self._add_version(
            tx, held, facts, run_id=run_id, tree=tree, reference=reference, report_id=report_id, tags=tags
        )

    @writes
    def add_version(
        self,
        tx: Transaction,
        model: str,
        source: str,
        location: str = "",
        run_id: RunId | None = None,
        tree: Digest | None = None,
        facts: ModelFacts = UNKNOWN,
        logged_model_id: str = "",
        run_link: str = "",
        description: str = "",
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> ModelVersion:
        """Make what a client has stored the next version of a model that is there; each call makes a new one.

        Args:
            model: its name.
            source: the URI that the client gave.
            location: where clients download it from; the source when empty.
            run_id: the run that made it.
            tree: the model directory in the object store; None where its files are not kept here.
            facts: what the directory says about the model.
            logged_model_id: the logged model that it was.
            run_link: a page about its run, elsewhere.
            description: for people.
            tags: texts by key.
        """
        return self._add_version(
            tx,
            self._lock(tx, model),
            facts,
            run_id=None if run_id is None else RunId(check_run_id(run_id)),
            tree=tree,
            source=check_text(source, "source", URI_LIMIT),
            location=location or source,
            logged_model_id=logged_model_id,
            run_link=check_text(run_link, "run_link", URI_LIMIT),
            description=check_text(description, "description"),
            tags=tags,
        )

    @logs
    def describe_version(self, tx: Transaction, model: str, version: int, description: str) -> ModelVersion:
        """Say what is special about a version."""
        target = self._find_version(tx, self._lock(tx, model), version)
        check_text(description, "description")
        if target.description != description:
            tx.record("registry.describe_version", target.ref, before=target.description, after=description)
        return self._change_version(tx, target, description=description)

    @logs
    def set_status(
        self, tx: Transaction, model: str, version: int, status: VersionStatus, reason: str = ""
    ) -> ModelVersion:
        """Archive a version, or make an archived one ready again.

        Raises:
            ConflictError: an alias still points at the version.
        """
        held = self._lock(tx, model)
        target = self._find_version(tx, held, version)
        if target.status is status:
            return target
        aliases = self._models.list_aliases(tx, {held.key: held.name})[held.key]
        holder = next((alias for alias in aliases if alias.version == version), None)
        if holder is not None and status is VersionStatus.ARCHIVED:
            raise ConflictError(
                f"version {version} of model {held.name!r} is its {holder.alias!r} and cannot be archived",
                hint="move the alias first",
            )
        self._note(tx, held, ChangeKind.STATUS, version=version, before=target.status, after=status, reason=reason)
        tx.record("registry.set_status", target.ref, before=target.status, after=status, reason=reason)
        return self._change_version(tx, target, status=status)

    @logs
    def set_stage(
        self,
        tx: Transaction,
        model: str,
        version: int,
        stage: Stage,
        archive_others: bool = False,
        reason: str = "",
    ) -> ModelVersion:
        """Put a version in a stage, which is a label for MLflow's clients; no alias moves and no traffic changes.

        Args:
            model: its name.
            version: its number.
            stage: the new one.
            archive_others: whether the versions that are in the stage go to `Archived`; for `Staging` and `Production`.
            reason: for the record.
        """
        if archive_others and stage not in (Stage.STAGING, Stage.PRODUCTION):
            raise InvalidInputError(
                "Model version transition cannot archive existing model versions because "
                f"'{stage}' is not an Active stage. Valid stages are ['Staging', 'Production']",
                field="archive_existing_versions",
            )
        held = self._lock(tx, model)
        target = self._find_version(tx, held, version)
        if archive_others:
            for other in self._versions.list_in_stage(tx, held.key, stage):
                if other.version != version:
                    self._put_in_stage(tx, held, other, Stage.ARCHIVED, f"version {version} took its place")
        self._models.update(tx, held.key, updated_at=tx.now)
        return self._put_in_stage(tx, held, target, stage, reason)

    @logs
    def set_tags(self, tx: Transaction, model: str, version: int, tags: dict[str, str]) -> ModelVersion:
        """Set tags of a version; those not named stay."""
        target = self._find_version(tx, self._find_model(tx, model), version)
        changed = {key: value for key, value in check_tags(tags).items() if target.tags.get(key) != value}
        if changed:
            self._versions.set_tags(tx, target, changed)
            tx.record("registry.set_tags", target.ref, tags=changed)
        return structs.replace(target, tags=target.tags | changed)

    @logs
    def delete_tag(self, tx: Transaction, model: str, version: int, key: str) -> None:
        """Forget a tag of a version; one that is not there is left alone."""
        target = self._find_version(tx, self._find_model(tx, model), version)
        if key in target.tags:
            self._versions.remove_tag(tx, target, key)
            tx.record("registry.delete_tag", target.ref, key=key, before=target.tags[key])

    @writes
    def delete_version(self, tx: Transaction, model: str, version: int, reason: str = "") -> None:
        """Delete a version and the aliases that point at it; its number is not given again.

        Raises:
            ConflictError: a deployment uses it.
        """
        held = self._lock(tx, model)
        target = self._find_version(tx, held, version)
        self._refuse_in_use(tx, held, version)
        self._drop_aliases(tx, held, f"version {version} was deleted", version)
        self._note(tx, held, ChangeKind.DELETED, version=version, before=version, reason=reason)
        drop_objects(tx, target.ref)
        self._models.update(tx, held.key, updated_at=tx.now)
        self._change_version(tx, target, deleted_at=tx.now)
        tx.record("registry.delete_version", target.ref, source=target.source, tree=target.tree, reason=reason)

    def _add_version(self, tx: Transaction, model: Model, facts: ModelFacts, **values: Any) -> ModelVersion:
        version = ModelVersion(
            model=model.name,
            key=model.key,
            version=model.latest_version + 1,
            task=facts.task,
            flavor=facts.flavor,
            signature=facts.signature,
            classes=facts.classes,
            label=facts.label,
            fast_form=facts.fast_form,
            created_at=tx.now,
            created_by=tx.actor.name,
            updated_at=tx.now,
            **values,
        )
        check_tags(version.tags)
        for check in self._checks:
            check(tx, version, "registration")
        self._versions.add(tx, version)
        keep_objects(tx, version.ref, filter(None, (version.tree, version.reference)))
        if version.run_id is not None:
            tx.link(Ref("run", version.run_id), version.ref, "produced")
        tx.record(
            "registry.register",
            version.ref,
            run_id=version.run_id,
            tree=version.tree,
            report_id=version.report_id,
            task=version.task,
            source=version.source,
        )
        return version

    def _put_in_stage(
        self, tx: Transaction, model: Model, version: ModelVersion, stage: Stage, reason: str
    ) -> ModelVersion:
        if version.stage is not stage:
            before, number = version.stage, version.version
            self._note(tx, model, ChangeKind.STAGE, version=number, before=before, after=stage, reason=reason)
            tx.record("registry.set_stage", version.ref, before=before, after=stage, reason=reason)
        return self._change_version(tx, version, stage=stage)

    def _change_version(self, tx: Transaction, version: ModelVersion, **values: Any) -> ModelVersion:
        self._versions.update(tx, version, updated_at=tx.now, **values)
        kept = {name: value for name, value in values.items() if name in version.__struct_fields__}
        return structs.replace(version, updated_at=tx.now, **kept)
