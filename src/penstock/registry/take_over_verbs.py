"""The verbs that take over models of another registry as they are: numbers, times and stages included."""

from datetime import datetime

from msgspec import Struct, structs

from penstock.core.errors import ConflictError
from penstock.core.ids import Digest, Ref, RunId
from penstock.registry.fast_form_verbs import FastFormVerbs
from penstock.registry.format.types import ModelFacts
from penstock.registry.names import URI_LIMIT, check_model_name, check_tags, check_text
from penstock.registry.types import Model, ModelVersion, Stage
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs
from penstock.tracking.names import check_run_id


class TakenModel(Struct, frozen=True, kw_only=True):
    """A model as another registry knows it, without its versions and aliases."""

    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    latest_version: int  # the last number given, also where that version was deleted
    tags: dict[str, str] = {}


class TakenVersion(Struct, frozen=True, kw_only=True):
    """A version as another registry knows it."""

    model: str
    version: int
    run_id: RunId | None
    stage: Stage
    description: str
    source: str
    location: str  # where clients download it from
    run_link: str
    logged_model_id: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    tree: Digest | None = None  # the model directory in the object store; None where its files are not kept here
    facts: ModelFacts = ModelFacts()
    tags: dict[str, str] = {}


class TakeOverVerbs(FastFormVerbs):
    """Taking over; every verb may be repeated, after a stop at any point."""

    @logs
    def take_over_model(self, tx: Transaction, model: TakenModel) -> Model:
        """Make a model, or bring the one of that name up to date; called last, it sets the time of its last change."""
        known = self._models.find_named(tx, check_model_name(model.name))
        if known is None:
            known = self._insert_model(tx, model.name, model.description, model.tags)
            self._models.update(tx, known.key, created_at=model.created_at)
            tx.record("registry.take_over_model", known.ref, description=model.description, tags=model.tags)
        self._models.set_tags(tx, known.key, check_tags(model.tags))
        values = {
            "description": check_text(model.description, "description"),
            "latest_version": max(known.latest_version, model.latest_version),
            "updated_at": model.updated_at,
        }
        self._models.update(tx, known.key, **values)
        return structs.replace(known, tags=known.tags | model.tags, **values)

    @logs
    def take_over_version(self, tx: Transaction, version: TakenVersion) -> ModelVersion:
        """Make a version with its number, or bring stage, description and tags of the one of that number up to date.

        Raises:
            NotFoundError: no such model.
            ConflictError: the number belongs to another version here, or to one that was deleted.
        """
        held = self._lock(tx, version.model)
        known = self._versions.find(tx, held.key, version.version)
        if known is None:
            return self._add_taken(tx, held, version)
        if (known.run_id, known.source) != (version.run_id, version.source):
            raise ConflictError(
                f"version {version.version} of model {held.name!r} is another one here, from {known.source or 'a run'}",
                hint="rename the model here, and import again",
            )
        if version.tree is not None:
            keep_objects(tx, known.ref, [version.tree])
        if version.tree not in (None, known.tree):
            self._versions.update(tx, known, fast_form=None, fast_tree=None)  # what was compiled were other files
        self._versions.set_tags(tx, known, check_tags(version.tags))
        known = self._put_in_stage(tx, held, known, version.stage, "imported")
        values = {
            "description": check_text(version.description, "description"),
            "location": version.location,
            "tree": version.tree or known.tree,
            "updated_at": version.updated_at,
        }
        self._versions.update(tx, known, **values)
        return structs.replace(known, tags=known.tags | version.tags, **values)

    def _add_taken(self, tx: Transaction, held: Model, taken: TakenVersion) -> ModelVersion:
        if self._versions.was_given(tx, held.key, taken.version):
            raise ConflictError(f"version {taken.version} of model {held.name!r} was deleted here")
        version = ModelVersion(
            model=held.name,
            key=held.key,
            version=taken.version,
            run_id=None if taken.run_id is None else RunId(check_run_id(taken.run_id)),
            tree=taken.tree,
            stage=taken.stage,
            description=check_text(taken.description, "description"),
            source=check_text(taken.source, "source", URI_LIMIT),
            location=taken.location,
            run_link=check_text(taken.run_link, "run_link", URI_LIMIT),
            logged_model_id=taken.logged_model_id,
            created_at=taken.created_at,
            created_by=taken.created_by,
            updated_at=taken.updated_at,
            tags=check_tags(taken.tags),
            **structs.asdict(taken.facts),
        )
        self._versions.add(tx, version)
        self._models.update(tx, held.key, latest_version=max(held.latest_version, version.version))
        keep_objects(tx, version.ref, filter(None, (version.tree,)))
        if version.run_id is not None:
            tx.link(Ref("run", version.run_id), version.ref, "produced")
        tx.record("registry.take_over_version", version.ref, run_id=version.run_id, tree=version.tree)
        return version
