"""The verbs of artifacts: which file lies under which path of which home."""

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref, RunId
from penstock.storage.database import Database
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads
from penstock.tracking.artifacts.homes import check_home, run_home
from penstock.tracking.artifacts.paths import check_folder, check_path, folders_above
from penstock.tracking.artifacts.store import ArtifactStore
from penstock.tracking.artifacts.types import Artifact, FolderPage
from penstock.tracking.artifacts.uploads import Uploads

PAGE_LIMIT = 1_000
FOLDER_LIMIT = 10_000


class ArtifactService:
    """Files under the paths of a home, such as `run:ID`. The object store has their bytes, this service their digests.

    That a file was added is a fact and not audited; what is deleted leaves an audit entry.

    Attributes:
        uploads: files that arrive in parts.
    """

    noun = "artifacts"

    def __init__(self, db: Database) -> None:
        self.db = db
        self.uploads = Uploads()
        self._store = ArtifactStore(db)

    @logs
    def log_artifact(self, tx: Transaction, run_id: RunId, path: str, digest: Digest, size_bytes: int) -> Artifact:
        """Note a file that the object store holds under a path of the run; a later file of that path replaces it."""
        return self.log_file.join(tx, run_home(run_id), path, digest, size_bytes)

    @reads
    def get_artifact(self, tx: Transaction, run_id: RunId, path: str) -> Artifact:
        """A file of a run by its path."""
        return self.get_file.join(tx, run_home(run_id), path)

    @reads
    def list_artifacts(self, tx: Transaction, run_id: RunId, limit: int = 1000, after: str = "") -> list[Artifact]:
        """A run's files by path; to go on, give the last path as `after`."""
        return self.list_files.join(tx, run_home(run_id), limit, after)

    @reads
    def list_files(self, tx: Transaction, home: str, limit: int = 1000, after: str = "") -> list[Artifact]:
        """A home's files by path, in whatever folder; to go on, give the last path as `after`."""
        check_home(tx, home, for_writing=False)
        return self._store.list_files(tx, home, _check_limit(limit, PAGE_LIMIT), after)

    @logs
    def log_file(self, tx: Transaction, home: str, path: str, digest: Digest, size_bytes: int) -> Artifact:
        """Note a file that the object store holds under a path of a home; a later file of that path replaces it.

        Raises:
            NotFoundError: there is no such home.
            ConflictError: the home is deleted, or the path has a file where it needs a folder, or the reverse.
            InvalidInputError: no file can have this path, digest or size.
        """
        if size_bytes < 0:
            raise InvalidInputError(f"a file cannot have {size_bytes} bytes", field="size_bytes")
        before = self._find_replaced(tx, home, path)
        artifact = Artifact(path=path, digest=digest, size_bytes=size_bytes, created_at=tx.now)
        self._store.set(tx, home, artifact)
        keep_objects(tx, _owner(home), [digest])
        if before is not None and before.digest != digest:
            self._store.drop_unneeded(tx, _owner(home), home, before.digest)
        return artifact

    @reads
    def expect_file(self, tx: Transaction, home: str, path: str) -> Artifact | None:
        """The file that one under this path would replace; errors as `log_file`, before its bytes have come."""
        return self._find_replaced(tx, home, path)

    @reads
    def get_file(self, tx: Transaction, home: str, path: str) -> Artifact:
        """A file of a home by its path."""
        check_home(tx, home, for_writing=False)
        found = self._store.find(tx, home, check_path(path))
        if found is None:
            is_folder = self._store.has_below(tx, home, path)
            raise NotFoundError(f"{home} has no artifact {path!r}", hint="it is a folder" if is_folder else "")
        return found

    @reads
    def list_folder(self, tx: Transaction, home: str, path: str = "", limit: int = 1000, after: str = "") -> FolderPage:
        """Files and folders one level down; a folder that is not there is empty.

        Args:
            home: such as `run:ID`.
            path: the folder; empty for the home itself.
            limit: how many at most.
            after: the `next` of the page before.
        """
        check_home(tx, home, for_writing=False)
        limit = _check_limit(limit, FOLDER_LIMIT)
        found = self._store.list_folder(tx, home, check_folder(path), limit + 1, after)
        entries = tuple(found[:limit])
        last = entries[-1] if len(found) > limit else None
        return FolderPage(entries=entries, next=last.name + "/" * last.is_folder if last else "")

    @logs
    def delete_artifacts(self, tx: Transaction, home: str, path: str = "", everything: bool = False) -> int:
        """Remove a file, or a folder with all that is in it; returns how many files. What is not there is no error.

        Args:
            home: such as `run:ID`; nothing outside it is ever touched.
            path: of the file or folder.
            everything: whether an empty path may be given, which stands for all of the home.

        Raises:
            InvalidInputError: the path is empty and `everything` is not said.
        """
        ref = check_home(tx, home, for_writing=False)
        path = check_folder(path)
        if not path and not everything:
            raise InvalidInputError(
                f"this would delete every artifact of {home}", hint="say 'everything', or name a path", field="path"
            )
        count, size_bytes = self._store.delete_below(tx, home, path)
        if count:
            self._store.drop_unneeded(tx, _owner(home), home)
            tx.record("artifacts.delete_artifacts", ref, path=path, files=count, size_bytes=size_bytes)
        return count

    def build_tree(self, tx: Transaction, objects: ObjectStore, home: str, path: str = "") -> Digest | None:
        """Keep what is below a folder as a tree of the object store; None where nothing is. No file is read or copied.

        Whoever needs the tree says so with `keep_objects`, in the same transaction.
        """
        folder = check_folder(path)
        prefix = f"{folder}/" if folder else ""
        files = {
            file.path.removeprefix(prefix): TreeEntry("", EntryKind.FILE, file.size_bytes, file.digest)
            for file in self._store.each_below(tx, home, folder)
        }
        return objects.put_files(files) if files else None

    def _find_replaced(self, tx: Transaction, home: str, path: str) -> Artifact | None:
        check_home(tx, home, for_writing=True)
        before = self._store.find(tx, home, check_path(path))
        if before is None:
            self._check_room(tx, home, path)
        return before

    def _check_room(self, tx: Transaction, home: str, path: str) -> None:
        """Refuse a file where a folder is, and a folder where a file is: no file system could hold both."""
        taken = self._store.find_any(tx, home, folders_above(path))
        if taken is None and self._store.has_below(tx, home, path):
            taken = path
        if taken is not None:
            raise ConflictError(
                f"{taken!r} of {home} cannot be a file and a folder", hint="delete it first, or choose another path"
            )


def _owner(home: str) -> Ref:
    """In whose name the objects of a home's files are kept."""
    return Ref("artifacts", home)


def _check_limit(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise InvalidInputError(f"limit {limit} is not between 1 and {most}", field="limit")
    return limit
