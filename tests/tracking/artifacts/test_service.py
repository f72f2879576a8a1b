"""Which file lies under which path: replaced, listed, deleted, and its objects kept just as long as needed."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from factories import open_database
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.events import Entry
from penstock.core.ids import Digest, Ref, RunId
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.storage.references import keep_objects, list_kept
from penstock.tracking.artifacts.homes import FREE_SPACE
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.artifacts.types import FolderEntry
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.logged_models.types import LoggedModel
from penstock.tracking.service import TrackingService

ONE, TWO, THREE = (Digest(char * 64) for char in "123")
NO_MODEL = "logged-model:m-" + "0" * 32


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return open_database(tmp_path)


@pytest.fixture
def artifacts(db: Database) -> ArtifactService:
    return ArtifactService(db)


@pytest.fixture
def home(db: Database) -> str:
    """The home of a fresh run."""
    return str(TrackingService(db).create_run("churn").ref)


@pytest.fixture
def model(db: Database) -> LoggedModel:
    return LoggedModelService(db).create_logged_model(ExperimentService(db).create_experiment("models").id, "tree")


def kept(db: Database, home: str) -> list[str]:
    """The objects that are kept for a home."""
    return sorted(digest for owner, digest in db.read(list_kept) if owner == Ref("artifacts", home))


def names(artifacts: ArtifactService, home: str, path: str = "") -> list[str]:
    """What is in a folder, folders with a slash."""
    return [entry.name + "/" * entry.is_folder for entry in artifacts.list_folder(home, path).entries]


def test_a_run_has_its_files_by_path(artifacts: ArtifactService, home: str, db: Database) -> None:
    run_id = RunId(home.removeprefix("run:"))
    artifacts.log_artifact(run_id, "plots/roc.png", ONE, 12)
    assert artifacts.get_artifact(run_id, "plots/roc.png").digest == ONE
    assert [artifact.path for artifact in artifacts.list_artifacts(run_id)] == ["plots/roc.png"]
    assert kept(db, home) == [ONE]
    with pytest.raises(NotFoundError, match=r"roc\.svg"):
        artifacts.get_artifact(run_id, "roc.svg")
    with pytest.raises(NotFoundError, match="it is a folder"):
        artifacts.get_artifact(run_id, "plots")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/./b", "a\\b", "C:/x", "a\n", "a/"])
def test_a_path_that_leads_out_of_the_home_is_refused(artifacts: ArtifactService, home: str, path: str) -> None:
    for refused in (
        lambda: artifacts.log_file(home, path, ONE, 1),
        lambda: artifacts.get_file(home, path),
        lambda: artifacts.expect_file(home, path),
    ):
        with pytest.raises(InvalidInputError) as refusal:
            refused()
        assert refusal.value.field == "path"


@pytest.mark.parametrize("bad", ["", "run", "run:", "model:x", "server:other", "x" * 5000, "server", ":"])
def test_only_homes_that_are_there_have_files(artifacts: ArtifactService, bad: str) -> None:
    for refused in (lambda: artifacts.log_file(bad, "a", ONE, 1), lambda: artifacts.list_folder(bad)):
        with pytest.raises((InvalidInputError, NotFoundError)):
            refused()
    with pytest.raises(NotFoundError, match="no run 'nobody'"):
        artifacts.log_file("run:nobody", "a", ONE, 1)
    for nobody in ("logged-model:x", NO_MODEL):
        with pytest.raises(NotFoundError, match="no logged model"):
            artifacts.log_file(nobody, "a", ONE, 1)


def test_homes_do_not_see_each_other(artifacts: ArtifactService, home: str, model: LoggedModel, db: Database) -> None:
    for number, each in enumerate((home, str(model.ref), FREE_SPACE)):
        artifacts.log_file(each, "same", Digest(f"{number}" * 64), number)
    assert artifacts.delete_artifacts(str(model.ref), everything=True) == 1
    assert artifacts.get_file(home, "same").size_bytes == 0
    assert artifacts.get_file(FREE_SPACE, "same").size_bytes == 2
    assert (kept(db, home), kept(db, str(model.ref)), kept(db, FREE_SPACE)) == (["0" * 64], [], ["2" * 64])


def test_a_deleted_logged_model_takes_no_more_files(
    artifacts: ArtifactService, model: LoggedModel, db: Database
) -> None:
    home = str(model.ref)
    artifacts.log_file(home, "MLmodel", ONE, 1)
    LoggedModelService(db).delete_logged_model(model.id)
    with pytest.raises(ConflictError, match="is deleted"):
        artifacts.log_file(home, "more", ONE, 1)
    assert artifacts.get_file(home, "MLmodel").digest == ONE


def test_files_may_come_after_the_end_of_a_run_but_not_after_it_was_deleted(
    artifacts: ArtifactService, home: str, db: Database
) -> None:
    tracking, run_id = TrackingService(db), RunId(home.removeprefix("run:"))
    tracking.end_run(run_id)
    artifacts.log_file(home, "late.txt", ONE, 1)
    tracking.delete_run(run_id)
    with pytest.raises(ConflictError, match="deleted"):
        artifacts.log_file(home, "later.txt", ONE, 1)
    assert artifacts.get_file(home, "late.txt").digest == ONE


def test_the_objects_of_a_home_are_kept_exactly_as_long_as_a_file_needs_them(
    artifacts: ArtifactService, home: str, db: Database
) -> None:
    artifacts.log_file(home, "a", ONE, 1)
    artifacts.log_file(home, "b", ONE, 1)
    artifacts.log_file(home, "a", TWO, 1)
    assert kept(db, home) == [ONE, TWO]
    artifacts.log_file(home, "b", TWO, 1)
    assert kept(db, home) == [TWO]
    artifacts.delete_artifacts(home, "a")
    assert kept(db, home) == [TWO]
    artifacts.delete_artifacts(home, "b")
    assert kept(db, home) == []


def test_what_the_run_itself_needs_is_no_matter_of_its_files(
    artifacts: ArtifactService, home: str, db: Database
) -> None:
    db.write(keep_objects, Ref.parse(home), [ONE])
    artifacts.log_file(home, "diff.txt", ONE, 1)
    artifacts.delete_artifacts(home, "diff.txt")
    assert (Ref.parse(home), ONE) in db.read(list_kept)


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a/b/c/d", "a/b"), ("a", "a/b/c/d")])
def test_nothing_is_a_file_and_a_folder(artifacts: ArtifactService, home: str, first: str, second: str) -> None:
    artifacts.log_file(home, first, ONE, 1)
    artifacts.log_file(home, "ab", ONE, 1)
    with pytest.raises(ConflictError, match="file and a folder"):
        artifacts.log_file(home, second, ONE, 1)


def test_a_deletion_takes_a_file_or_what_is_below_a_folder_and_is_audited(
    artifacts: ArtifactService, home: str, entries: list[Entry]
) -> None:
    for path in ("a/x", "a/y/z", "a.txt", "a-b", "ab", "b", "a0"):
        artifacts.log_file(home, path, ONE, 5)
    assert not [entry for entry in entries if entry.action.startswith("artifacts.")]
    assert artifacts.delete_artifacts(home, "a/") == 2
    assert names(artifacts, home) == ["a-b", "a.txt", "a0", "ab", "b"]
    assert artifacts.delete_artifacts(home, "b") == 1
    assert artifacts.delete_artifacts(home, "nowhere") == 0
    told = [(entry.subject, entry.detail) for entry in entries if entry.action == "artifacts.delete_artifacts"]
    assert told == [
        (Ref.parse(home), {"path": "a", "files": 2, "size_bytes": 10}),
        (Ref.parse(home), {"path": "b", "files": 1, "size_bytes": 5}),
    ]


@pytest.mark.parametrize("path", ["", "/", "..", "../", ".", "a/..", "\\", "%"])
def test_nothing_is_deleted_by_a_path_that_names_nothing(artifacts: ArtifactService, home: str, path: str) -> None:
    artifacts.log_file(home, "a/x", ONE, 1)
    if path == "%":
        assert artifacts.delete_artifacts(home, path) == 0
    else:
        with pytest.raises(InvalidInputError):
            artifacts.delete_artifacts(home, path)
    assert names(artifacts, home, "a") == ["x"]
    assert artifacts.delete_artifacts(home, everything=True) == 1


PATHS = st.lists(st.text("ab.-0 é/", min_size=1, max_size=8), max_size=25).map(
    lambda drawn: sorted({"/".join(filter(lambda part: part.strip("."), path.split("/"))) for path in drawn} - {""})
)


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, limit=st.integers(1, 4), folder=st.sampled_from(["", "a", "b", "a/b", "nowhere"]))
def test_a_folder_lists_what_is_one_level_down_in_pages_of_any_size(
    paths: list[str], limit: int, folder: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    artifacts = _shared(tmp_path_factory)
    artifacts.delete_artifacts(FREE_SPACE, everything=True)
    held = set()
    for path in paths:
        try:
            artifacts.log_file(FREE_SPACE, path, ONE, len(path))
            held.add(path)
        except ConflictError:
            assert any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in held)
    prefix = f"{folder}/" if folder else ""
    below = [path.removeprefix(prefix) for path in held if path.startswith(prefix)]
    expected = sorted({path.partition("/")[0] + "/" * ("/" in path) for path in below})
    found: list[FolderEntry] = []
    after = ""
    while True:
        page = artifacts.list_folder(FREE_SPACE, folder, limit, after)
        assert len(page.entries) <= limit
        found += page.entries
        after = page.next
        if not after:
            break
    assert [entry.name + "/" * entry.is_folder for entry in found] == expected
    sizes = {entry.name: entry.size_bytes for entry in found if not entry.is_folder}
    assert sizes == {path: len(prefix + path) for path in below if "/" not in path}


_held: dict[str, ArtifactService] = {}


def _shared(tmp_path_factory: pytest.TempPathFactory) -> ArtifactService:
    if not _held:
        _held["one"] = ArtifactService(open_database(tmp_path_factory.mktemp("shared")))
    return _held["one"]


@pytest.mark.sqlite
def test_a_large_home_is_listed_by_a_few_jumps_along_its_key(
    artifacts: ArtifactService, home: str, db: Database
) -> None:
    rows = [(f"deep/{n // 1000:03}/{n:06}.bin", n) for n in range(30_000)] + [("z.txt", 1), ("a.txt", 2)]
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO artifacts (home, path, digest, size_bytes, created_at) VALUES (?, ?, ?, ?, 0)",
            [(home, path, ONE, size) for path, size in rows],
        )
    queries: list[str] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        queries.append(statement)
        plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()  # type: ignore[attr-defined]
        assert all("SEARCH" in step[3] and "TEMP B-TREE" not in step[3] for step in plan), plan

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert names(artifacts, home) == ["a.txt", "deep/", "z.txt"]
        assert len(queries) <= 6
        queries.clear()
        assert names(artifacts, home, "deep") == [f"{n:03}/" for n in range(30)]
        assert len(queries) <= 40
        queries.clear()
        assert len(names(artifacts, home, "deep/007")) == 1000
        assert len(queries) <= 4
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_what_is_below_a_folder_becomes_a_tree_without_reading_it(
    artifacts: ArtifactService, home: str, db: Database, tmp_path: Path
) -> None:
    objects = open_object_store(tmp_path / "objects")
    contents = {
        "model/MLmodel": b"flavors: {}",
        "model/deep/w.bin": random.Random(1).randbytes(3_000_000),
        "other": b"x",
    }
    for path, data in contents.items():
        artifacts.log_file(home, path, objects.put_bytes(data), len(data))
    tree = db.read(artifacts.build_tree, objects, home, "model")
    assert tree is not None
    assert {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(tree)} == {
        path.removeprefix("model/"): data for path, data in contents.items() if path.startswith("model/")
    }
    (tmp_path / "same" / "deep").mkdir(parents=True)
    (tmp_path / "same" / "MLmodel").write_bytes(contents["model/MLmodel"])
    (tmp_path / "same" / "deep" / "w.bin").write_bytes(contents["model/deep/w.bin"])
    assert objects.put_tree(tmp_path / "same") == tree
    objects.checkout(tree, tmp_path / "out")
    assert db.read(artifacts.build_tree, objects, home, "nowhere") is None
    assert objects.find_file(tree, "deep/w.bin").size == 3_000_000
    for wrong in ("deep", "nowhere", "deep/w.bin/x", "MLmodel/x"):
        with pytest.raises(NotFoundError):
            objects.find_file(tree, wrong)


def test_the_whole_home_can_be_a_tree(artifacts: ArtifactService, home: str, db: Database, tmp_path: Path) -> None:
    objects: ObjectStore = open_object_store(tmp_path / "objects")
    artifacts.log_file(home, "a/b", objects.put_bytes(b"1"), 1)
    tree = db.read(artifacts.build_tree, objects, home)
    assert tree is not None and [path for path, _ in objects.list_files(tree)] == ["a/b"]
