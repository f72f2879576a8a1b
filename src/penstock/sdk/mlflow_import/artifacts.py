"""Artifacts on their way: listed, copied, and read again on both sides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from penstock.sdk.mlflow_import.source import (
    Progress,
    Source,
    SourceFile,
    SourceOwner,
    SourceRun,
    UnreadableArtifactsError,
)
from penstock.tracking.artifacts.homes import logged_model_home, run_home
from penstock.tracking.artifacts.types import Artifact

_PAGE = 1_000  # artifacts
_PIECE = 1 << 20
_LARGE = 16 << 20  # bytes; whoever waits is told


class OwnerFiles(Struct, frozen=True):
    """The artifacts of a run or logged model in the source; where none can be read, why."""

    files: tuple[SourceFile, ...] = ()
    problem: str = ""


class FileLister:
    """Lists artifacts in the source.

    Args:
        source: where they are.
        with_artifacts: whether there are any to be taken.

    Attributes:
        skipped: by whom they belong to and their path, why artifacts cannot be read.
    """

    def __init__(self, source: Source, *, with_artifacts: bool) -> None:
        self.skipped: dict[tuple[str, str], str] = {}
        self.with_artifacts = with_artifacts
        self._source = source

    def list_files(self, owner: SourceOwner) -> OwnerFiles:
        """What can be read; the rest is noted."""
        if not self.with_artifacts:
            return OwnerFiles()
        try:
            found = self._source.list_files(owner)
        except UnreadableArtifactsError as error:
            self.skipped[owner.id, ""] = f"artifacts of {_name(owner)}: {error}"
            return OwnerFiles(problem=error.message)
        for file in found:
            if file.problem:
                self.skip(owner, file, file.problem)
        return OwnerFiles(tuple(file for file in found if not file.problem))

    def skip(self, owner: SourceOwner, file: SourceFile, why: str) -> None:
        """Note an artifact that cannot be read."""
        self.skipped[owner.id, file.path] = f"{name_file(owner, file)}: {why}"


class FileTaker:
    """Copies artifacts.

    Args:
        source: where they are.
        services: where they go.
        lister: notes those that cannot be read.
        progress: is told of large ones.
        is_quick: whether one that is here with the same size is taken for the same; else both are read.

    Attributes:
        differences: those that are not the same on both sides, each in words.
    """

    def __init__(
        self, source: Source, services: Services, lister: FileLister, progress: Progress, *, is_quick: bool
    ) -> None:
        self.differences: list[str] = []
        self._source = source
        self._services = services
        self._lister = lister
        self._progress = progress
        self._is_quick = is_quick

    def list_kept(self, owner: SourceOwner) -> dict[str, Artifact]:
        """The artifacts that are here, by their paths."""
        return list_kept(self._services, home_of(owner)) if self._lister.with_artifacts else {}

    def find_stale(
        self, owner: SourceOwner, files: Sequence[SourceFile], kept: Mapping[str, Artifact]
    ) -> list[SourceFile]:
        """The artifacts that are not here, or not as in the source."""
        return [file for file in files if not self._is_here(owner, file, kept.get(file.path))]

    def copy(self, owner: SourceOwner, file: SourceFile) -> None:
        """Copy an artifact, and read it again on both sides."""
        home = home_of(owner)
        if file.size_bytes >= _LARGE:
            self._progress.tell(f"{file.path}, {file.size_bytes / 1e6:,.0f} MB")
        try:
            with self._source.open_file(owner, file) as path:
                self._services.artifacts.log_file(
                    home, file.path, self._services.objects.put_file(path), path.stat().st_size
                )
                is_same = self._is_same(path, self._services.artifacts.get_file(home, file.path))
        except (UnreadableArtifactsError, NotFoundError, InvalidInputError) as error:
            self._lister.skip(owner, file, str(error))
            return
        except (ConflictError, CorruptDataError) as error:
            self.differences.append(f"{name_file(owner, file)}: {error}")
            return
        finally:
            self._progress.tell("")
        if not is_same:
            self.differences.append(f"{name_file(owner, file)} is not the same on both sides")

    def _is_here(self, owner: SourceOwner, file: SourceFile, kept: Artifact | None) -> bool:
        if kept is None or kept.size_bytes != file.size_bytes:
            return False
        if self._is_quick:
            return True
        try:
            with self._source.open_file(owner, file) as path:
                return self._is_same(path, kept)
        except (UnreadableArtifactsError, CorruptDataError):
            return False  # copying it says what is wrong

    def _is_same(self, path: Path, kept: Artifact) -> bool:
        """Whether a file is, byte for byte, what is stored."""
        if path.stat().st_size != kept.size_bytes:
            return False
        with path.open("rb") as there, self._services.objects.open(kept.digest) as here:
            while piece := there.read(_PIECE):
                if here.read(len(piece)) != piece:
                    return False
            return not here.read(1)


def list_kept(services: Services, home: str) -> dict[str, Artifact]:
    """The artifacts of a home that are here, by their paths; none where there is no such home."""
    kept: dict[str, Artifact] = {}
    after = ""
    while True:
        try:
            page = services.artifacts.list_files(home, _PAGE, after)
        except NotFoundError:
            return kept
        kept.update((each.path, each) for each in page)
        if len(page) < _PAGE:
            return kept
        after = page[-1].path


def home_of(owner: SourceOwner) -> str:
    """Where the artifacts of a run or logged model are here."""
    return run_home(owner.id) if isinstance(owner, SourceRun) else logged_model_home(owner.id)


def _name(owner: SourceOwner) -> str:
    return f"run {owner.id}" if isinstance(owner, SourceRun) else f"logged model {owner.id}"


def name_file(owner: SourceOwner, file: SourceFile) -> str:
    """An artifact in the words of a report."""
    return f"artifact {file.path!r} of {_name(owner)}"
