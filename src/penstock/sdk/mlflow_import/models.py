"""The registry on its way: models with versions of the same numbers, stages, aliases, tags and descriptions."""

import re
from collections.abc import Iterator, Mapping

from penstock.catalogue.services import Services
from penstock.core.ids import Digest, RunId
from penstock.registry.format.mlmodel import read_facts
from penstock.registry.format.types import ModelFacts
from penstock.registry.take_over_verbs import TakenModel, TakenVersion
from penstock.registry.types import ModelVersion, Stage
from penstock.sdk.mlflow_import.source import SourceModel, SourceVersion
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.tracking.artifacts.types import Artifact
from penstock.tracking.taking_over import to_moment

_PAGE = 1_000
_USER_LIMIT = 200  # characters
_DESCRIPTION = "MLmodel"
_RUNS = re.compile(r"runs:/([^/]+)/?(.*)")
_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})")


class ModelTaker:
    """Writes models.

    Args:
        services: where they go.
        roots: the artifact URIs that the runs of versions had in the source.
        with_artifacts: whether the artifacts of runs are here.

    Attributes:
        skipped: the versions whose files are not here, and why.
    """

    def __init__(self, services: Services, roots: Mapping[str, str], *, with_artifacts: bool) -> None:
        self.skipped: list[str] = []
        self._services = services
        self._roots = roots
        self._with_artifacts = with_artifacts

    def take(self, model: SourceModel) -> None:
        """Write a model with its versions and aliases."""
        registry = self._services.registry
        taken = TakenModel(
            name=model.name,
            description=model.description,
            created_at=to_moment(model.created_ms),
            updated_at=to_moment(model.updated_ms),
            latest_version=max((version.number for version in model.versions), default=0),
            tags=model.tags,
        )
        registry.take_over_model(taken)
        for version in model.versions:
            if not version.is_deleted:
                registry.take_over_version(self._to_taken(model, version))
        for alias, number in model.aliases.items():
            registry.move_alias(model.name, alias, number, reason="imported")
        registry.take_over_model(taken)

    def _to_taken(self, model: SourceModel, version: SourceVersion) -> TakenVersion:
        location, tree, facts = self._find_files(model, version)
        logged = _LOGGED_MODEL.fullmatch(version.source)
        return TakenVersion(
            model=model.name,
            version=version.number,
            run_id=RunId(version.run_id) if version.run_id else None,
            stage=to_stage(version.stage),
            description=version.description,
            source=version.source,
            location=location or version.source,
            run_link=version.run_link,
            logged_model_id=logged[1] if logged else "",
            created_at=to_moment(version.created_ms),
            created_by=version.user[:_USER_LIMIT],
            updated_at=to_moment(version.updated_ms),
            tree=tree,
            facts=facts,
            tags=version.tags,
        )

    def _find_files(self, model: SourceModel, version: SourceVersion) -> tuple[str, Digest | None, ModelFacts]:
        """Where a version's files are here: a folder of its run, as a URI for clients and as a tree."""
        place = self._find_place(version)
        files = self._list_below(*place) if place is not None else {}
        if place is None or not files:
            if self._with_artifacts:
                told = (
                    f"version {version.number} of model {model.name!r}: its files, {version.source}, are not of a run"
                )
                self.skipped.append(f"{told} that was imported; clients go on reading them there")
            return "", None, ModelFacts()
        entries = {path: TreeEntry("", EntryKind.FILE, each.size_bytes, each.digest) for path, each in files.items()}
        root = self._services.tracking.get_run(place[0]).artifact_uri
        described = files.get(_DESCRIPTION)
        facts = read_facts(self._services.objects.get_bytes(described.digest)) if described else ModelFacts()
        return f"{root}/{place[1]}".rstrip("/"), self._services.objects.put_files(entries), facts

    def _find_place(self, version: SourceVersion) -> tuple[RunId, str] | None:
        """The run and the folder below its artifacts that a version was registered from."""
        named = _RUNS.fullmatch(version.source)
        if named:
            return RunId(named[1]), named[2]
        root = self._roots.get(version.run_id, "").rstrip("/")
        if root and f"{version.source}/".startswith(f"{root}/"):
            return RunId(version.run_id), version.source[len(root) + 1 :]
        return None

    def _list_below(self, run_id: RunId, folder: str) -> dict[str, Artifact]:
        """The files of a run below a folder, by their paths in it."""
        if not self._with_artifacts or self._services.taking_over.summarize_run(run_id) is None:
            return {}
        prefix = f"{folder}/" if folder else ""
        found: dict[str, Artifact] = {}
        after = prefix
        while True:
            page = self._services.artifacts.list_artifacts(run_id, _PAGE, after)
            inside = [each for each in page if each.path.startswith(prefix)]
            found.update((each.path.removeprefix(prefix), each) for each in inside)
            if len(inside) < _PAGE:
                return found
            after = page[-1].path


def compare_model(services: Services, model: SourceModel) -> Iterator[str]:
    """What differs between a model here and in the source."""
    where = f"model {model.name!r}"
    here = services.registry.get_model(model.name)
    if here.description != model.description:
        yield f"{where}: its description differs"
    if any(here.tags.get(key) != value for key, value in model.tags.items()):
        yield f"{where}: its tags differ"
    held = {version.version: version for version in list_versions(services, model.name)}
    for version in model.versions:
        found = held.get(version.number)
        if (found is None) != version.is_deleted:
            yield f"{where}: version {version.number} is {'missing' if found is None else 'deleted in the source'}"
        elif found is not None:
            yield from (f"{where}: version {version.number} {each}" for each in _compare_version(version, found))
    aliases = {each.alias: each.version for each in services.registry.list_aliases(model.name)}
    for alias, number in model.aliases.items():
        if aliases.get(alias) != number:
            yield f"{where}: alias {alias!r} points at {aliases.get(alias)} here and at {number} in the source"


def list_versions(services: Services, model: str) -> Iterator[ModelVersion]:
    """Every version of a model that is here."""
    before = None
    while page := services.registry.list_versions(model, _PAGE, before):
        yield from page
        before = page[-1].version


def to_stage(text: str) -> Stage:
    """The stage that MLflow names."""
    return next((stage for stage in Stage if stage == text), Stage.NONE)


def _compare_version(version: SourceVersion, here: ModelVersion) -> Iterator[str]:
    if (here.run_id or "", here.source) != (version.run_id, version.source):
        yield "comes from another run or source"
    if here.description != version.description:
        yield "has another description"
    if here.stage != to_stage(version.stage):
        yield f"is in stage {here.stage} here and {version.stage} in the source"
    if any(here.tags.get(key) != value for key, value in version.tags.items()):
        yield "has other tags"
