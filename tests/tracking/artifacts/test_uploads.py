"""Files that come in parts: any order, repeated, over days; done when all are there, forgotten when nobody cares."""

from pathlib import Path

import pytest

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref
from penstock.storage.database import Database
from penstock.storage.references import list_kept
from penstock.tracking.artifacts.homes import FREE_SPACE
from penstock.tracking.artifacts.types import Upload, UploadPart
from penstock.tracking.artifacts.uploads import Uploads

ONE, TWO, THREE = (Digest(char * 64) for char in "123")
UPLOADS = Uploads()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Database:
    return open_database(tmp_path, clock)


@pytest.fixture
def upload(db: Database) -> Upload:
    return db.write(UPLOADS.begin, FREE_SPACE, "big.bin", 2)


def add(db: Database, upload: Upload, number: int, digest: Digest) -> None:
    db.write(UPLOADS.add_part, upload.id, UploadPart(number=number, digest=digest, size_bytes=1))


def test_parts_come_in_any_order_and_the_last_of_a_number_counts(db: Database, upload: Upload) -> None:
    for number, digest in ((2, TWO), (1, THREE), (1, ONE), (1, ONE)):
        add(db, upload, number, digest)
    found, parts = db.read(UPLOADS.check_parts, upload.id, [(2, TWO), (1, ONE)])
    assert (found, [part.digest for part in parts]) == (upload, [ONE, TWO])
    assert {owner for owner, _ in db.read(list_kept)} == {Ref("upload", upload.id)}
    db.write(UPLOADS.end, upload.id)
    assert db.read(list_kept) == []
    with pytest.raises(NotFoundError):
        db.read(UPLOADS.get, upload.id)


@pytest.mark.parametrize(
    "named",
    [[], [(1, ONE)], [(1, ONE), (1, ONE)], [(1, ONE), (2, ONE)], [(1, ONE), (2, TWO), (3, TWO)], [(0, ONE), (1, ONE)]],
)
def test_an_upload_is_done_only_with_just_its_parts(db: Database, upload: Upload, named: list[tuple[int, str]]) -> None:
    add(db, upload, 1, ONE)
    add(db, upload, 2, TWO)
    with pytest.raises(ConflictError):
        db.read(UPLOADS.check_parts, upload.id, named)


def test_a_part_that_has_not_come_is_named(db: Database, upload: Upload) -> None:
    add(db, upload, 1, ONE)
    with pytest.raises(ConflictError, match="part 2 has not come"):
        db.read(UPLOADS.check_parts, upload.id, [(1, ONE), (2, TWO)])


@pytest.mark.parametrize("number", [0, -1, 3])
def test_there_are_no_other_parts(db: Database, upload: Upload, number: int) -> None:
    with pytest.raises(InvalidInputError):
        add(db, upload, number, ONE)


@pytest.mark.parametrize("num_parts", [0, -1, 10_001])
def test_a_file_has_a_sensible_number_of_parts(db: Database, num_parts: int) -> None:
    with pytest.raises(InvalidInputError):
        db.write(UPLOADS.begin, FREE_SPACE, "x", num_parts)


def test_what_nobody_finished_in_a_week_is_forgotten(db: Database, upload: Upload, clock: ManualClock) -> None:
    add(db, upload, 1, ONE)
    clock.advance(days=6)
    assert db.read(UPLOADS.get, upload.id) == upload
    clock.advance(days=1, seconds=1)
    with pytest.raises(NotFoundError):
        add(db, upload, 2, TWO)
    db.write(UPLOADS.begin, FREE_SPACE, "other", 1)
    assert db.read(list_kept) == []
    assert db.read(UPLOADS.list_parts, upload.id) == []
