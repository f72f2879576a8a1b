"""Registered models come out of the store as they went in, or not at all."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.core.ids import Digest
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.loading import open_model, open_tree
from penstock.registry.types import ModelVersion
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from vetting import unvetted

FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.5, 0.5, 2.5, 3.5]})


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def info(tmp_path: Path) -> ModelInfo:
    model = LinearRegression().fit(FRAME, [1.0, 2.0, 3.0, 4.0])
    return save_model(model, tmp_path / "saved", task="regression", sample=FRAME)


@pytest.fixture
def tree(objects: ObjectStore, info: ModelInfo, tmp_path: Path) -> Digest:
    return objects.put_tree(tmp_path / "saved")


def test_a_version_is_opened_from_the_store(
    objects: ObjectStore, info: ModelInfo, tree: Digest, tmp_path: Path
) -> None:
    version = ModelVersion(
        model="sales",
        key="sales",
        version=1,
        run_id=None,
        tree=tree,
        task=info.task,
        flavor=info.flavor,
        signature=info.signature,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="tester",
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    model = open_model(objects, version, tmp_path / "cache", unvetted(tmp_path))
    assert model.signature == version.signature
    assert model.predict(FRAME)["prediction"].to_list() == pytest.approx([1.0, 2.0, 3.0, 4.0])


def test_the_cache_is_used_again_while_its_bytes_are_right(objects: ObjectStore, tree: Digest, tmp_path: Path) -> None:
    first = open_tree(objects, tree, tmp_path / "cache", unvetted(tmp_path)).folder
    before = (first / "MLmodel").stat().st_ino
    again = open_tree(objects, tree, tmp_path / "cache", unvetted(tmp_path)).folder
    assert (again, (again / "MLmodel").stat().st_ino) == (first, before)


@pytest.mark.parametrize("name", ["MLmodel", "model.skops", "penstock/golden.json", "requirements.txt", "added.py"])
def test_an_altered_copy_in_the_cache_is_replaced(
    objects: ObjectStore, tree: Digest, tmp_path: Path, name: str
) -> None:
    folder = open_tree(objects, tree, tmp_path / "cache", unvetted(tmp_path)).folder
    path = folder / name
    whole = path.read_bytes() if path.exists() else None
    path.write_bytes((whole or b"") + b"x")
    assert open_tree(objects, tree, tmp_path / "cache", unvetted(tmp_path)).folder == folder
    assert (path.read_bytes() if path.exists() else None) == whole


def test_an_altered_object_is_refused(objects: ObjectStore, tree: Digest, tmp_path: Path) -> None:
    for path in (tmp_path / "objects").rglob("*"):
        if path.is_file() and path.stat().st_size:  # that a process is at work there is an empty file
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(data)
    with pytest.raises(CorruptDataError):
        open_tree(open_object_store(tmp_path / "objects"), tree, tmp_path / "cache", unvetted(tmp_path))
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_model_that_answers_otherwise_than_when_it_was_saved_is_refused(
    objects: ObjectStore, tree: Digest, tmp_path: Path
) -> None:
    golden = tmp_path / "saved" / "penstock" / "golden.json"
    golden.write_text(golden.read_text().replace('"prediction":[', '"prediction":[7.0,', 1))
    with pytest.raises(CorruptDataError, match="no longer answers"):
        open_tree(objects, objects.put_tree(tmp_path / "saved"), tmp_path / "cache", unvetted(tmp_path))


def test_a_directory_that_is_not_there_is_named(objects: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_tree(objects, Digest("0" * 64), tmp_path / "cache", unvetted(tmp_path))
