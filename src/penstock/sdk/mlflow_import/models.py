"""The registry on its way: models with versions of the same numbers, stages, aliases, tags and descriptions."""

import re
from collections.abc import Iterator, Mapping, Sequence

from penstock.catalogue.services import Services
from penstock.core.ids import Digest, RunId
from penstock.registry.format.mlmodel import read_facts
from penstock.registry.format.types import ModelFacts
from penstock.registry.take_over_verbs import TakenModel, TakenVersion
from penstock.registry.types import ModelVersion, Stage
from penstock.sdk.mlflow_import.artifacts import list_kept
from penstock.sdk.mlflow_import.source import SourceModel, SourceVersion
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.tracking.artifacts.homes import Place, logged_model_home, run_home
from penstock.tracking.artifacts.types import Artifact
from penstock.tracking.taking_over import to_moment

_PAGE = 1_000
_USER_LIMIT = 200  # characters
_DESCRIPTION = "MLmodel"
_RUNS = re.compile(r"runs:/([^/]+)/?(.*)")
_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})/?(.*)")
_LOGGED_MODEL_FOLDER = re.compile(r"/models/(m-[0-9a-f]{32})/artifacts(?:/(.*))?$")
_VERSION = re.compile(r"models:/([^/@]+)/(\d+)")
_COPIES = 20  # versions that are copies of copies
PLACEHOLDERS = (
    "",
    "prompt-template",
    "dummy-source",
)  # what clients give as the source of a prompt, which has no files


class ModelTaker:
    """Writes models.

    Args:
        services: where they go.
        roots: the artifact URIs that the runs of versions had in the source.
        models: all there are, as versions may be copies of others.
        with_artifacts: whether the artifacts of runs are here.

    Attributes:
        skipped: the versions whose files are not here, and why.
    """

    def __init__(
        self, services: Services, roots: Mapping[str, str], models: Sequence[SourceModel], *, with_artifacts: bool
    ) -> None:
        self.skipped: list[str] = []
        self._services = services
        self._roots = roots
        self._versions = {(model.name, version.number): version for model in models for version in model.versions}
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
        place = self._find_place(version)
        location, tree, facts = self._find_files(model, version, place)
        is_logged = place is not None and place.home.startswith("logged-model:")
        return TakenVersion(
            model=model.name,
            version=version.number,
            run_id=RunId(version.run_id) if version.run_id else None,
            stage=to_stage(version.stage),
            description=version.description,
            source=version.source,
            location=location or version.source,
            run_link=version.run_link,
            logged_model_id=place.home.partition(":")[2] if place is not None and is_logged else "",
            created_at=to_moment(version.created_ms),
            created_by=version.user[:_USER_LIMIT],
            updated_at=to_moment(version.updated_ms),
            tree=tree,
            facts=facts,
            tags=version.tags,
        )

    def _find_files(
        self, model: SourceModel, version: SourceVersion, place: Place | None
    ) -> tuple[str, Digest | None, ModelFacts]:
        """Where a version's files are here: a folder of its run or logged model, as a URI for clients and as a tree."""
        files = self._list_below(place) if place is not None and self._with_artifacts else {}
        if place is None or not files:
            if self._with_artifacts and version.source not in PLACEHOLDERS:
                self.skipped.append(
                    f"version {version.number} of model {model.name!r}: its files, {version.source}, are not of a run "
                    "or logged model that was imported; clients go on reading them there"
                )
            return "", None, ModelFacts()
        entries = {path: TreeEntry("", EntryKind.FILE, each.size_bytes, each.digest) for path, each in files.items()}
        described = files.get(_DESCRIPTION)
        facts = read_facts(self._services.objects.get_bytes(described.digest)) if described else ModelFacts()
        return f"{self._find_root(place)}/{place.path}".rstrip("/"), self._services.objects.put_files(entries), facts

    def _find_place(self, version: SourceVersion) -> Place | None:
        """The folder of a run or logged model that a version was registered from."""
        for _ in range(_COPIES):
            copied = _VERSION.fullmatch(version.source)
            if copied is None or (copied[1], int(copied[2])) not in self._versions:
                break
            version = self._versions[copied[1], int(copied[2])]
        logged = _LOGGED_MODEL.fullmatch(version.source) or _LOGGED_MODEL_FOLDER.search(version.source)
        if logged:
            return Place(logged_model_home(logged[1]), logged[2] or "")
        named = _RUNS.fullmatch(version.source)
        if named:
            return Place(run_home(named[1]), named[2])
        root = self._roots.get(version.run_id, "").rstrip("/")
        if root and f"{version.source}/".startswith(f"{root}/"):
            return Place(run_home(version.run_id), version.source[len(root) + 1 :])
        return None

    def _find_root(self, place: Place) -> str:
        """The URI of all artifacts of a home."""
        kind, _, name = place.home.partition(":")
        if kind == "run":
            return self._services.tracking.get_run(RunId(name)).artifact_uri
        return self._services.logged_models.get_logged_model(name, with_deleted=True).artifact_uri

    def _list_below(self, place: Place) -> dict[str, Artifact]:
        """The files below a folder, by their paths in it."""
        prefix = f"{place.path}/" if place.path else ""
        kept = list_kept(self._services, place.home)
        return {path.removeprefix(prefix): each for path, each in kept.items() if path.startswith(prefix)}


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
