"""Model directories that somebody prepared: nothing in them is ever executed, and the refusal says why."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from penstock.core.errors import CorruptDataError, InvalidInputError, PenstockError
from penstock.core.ids import Digest
from penstock.registry.format.loaded import LoadedModel, check_golden, load_model
from penstock.registry.format.saving import save_model
from penstock.registry.loading import open_tree
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from serving.models import LOGISTIC_SAMPLE, RANKING_SAMPLE, make_logistic, make_ranking
from vetting import unvetted

MARK = "executed"


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder / MARK),)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models that are prepared; each test prepares copies."""
    folder = tmp_path_factory.mktemp("saved")
    save_model(make_logistic(), folder / "logistic", task="binary", sample=LOGISTIC_SAMPLE)
    _change(folder / "logistic", _forget_fast_form)
    save_model(make_ranking(), folder / "ranking", task="ranking", sample=RANKING_SAMPLE)
    return folder


@pytest.fixture
def forest(saved: Path, tmp_path: Path) -> Path:
    """A scikit-learn model."""
    return Path(shutil.copytree(saved / "logistic", tmp_path / "logistic"))


@pytest.fixture
def ranking(saved: Path, tmp_path: Path) -> Path:
    """A ranking model."""
    return Path(shutil.copytree(saved / "ranking", tmp_path / "ranking"))


def _open(folder: Path) -> LoadedModel:
    """As a gateway does: through the object store and the cache."""
    objects = open_object_store(folder.parent / "objects")
    model = open_tree(objects, objects.put_tree(folder), folder.parent / "cache", unvetted(folder.parent))
    check_golden(model)
    return model


def _assert_refused(folder: Path, *words: str) -> None:
    for load in (load_model, _open):
        with pytest.raises((InvalidInputError, CorruptDataError)) as caught:
            load(folder)
        assert all(word in str(caught.value) for word in words), caught.value
    assert not list(folder.parent.rglob(MARK))


def _forget_fast_form(content: dict[str, Any]) -> None:
    """So that the model as it is gets read, which is what is prepared here."""
    content["flavors"]["penstock"]["fast_form"] = None


def _change(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "MLmodel"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_the_model(protocol: int, forest: Path, ranking: Path) -> None:
    for folder, name in ((forest, "model.skops"), *((ranking, path.name) for path in ranking.glob("*.npz"))):
        (folder / name).write_bytes(pickle.dumps(Bomb(folder.parent), protocol))
        _assert_refused(folder, "cannot be read")


def test_a_pickle_beside_the_model_is_left_alone(forest: Path) -> None:
    for name in ("model.pkl", "python_model.pkl", "model.joblib", "sklearn.py", "conftest.py", "__init__.py"):
        (forest / name).write_bytes(pickle.dumps(Bomb(forest.parent)))
    assert _open(forest).task == "binary"
    assert not list(forest.parent.rglob(MARK))


HOSTILE_TYPES = ["os.system", "builtins.eval", "subprocess.Popen", "sklearn.datasets._base.load_files", "numpy.load"]
HOSTILE_TYPES += ["numpy.testing._private.utils.runstring", "sklearn.externals.joblib.load", "scipy.io.loadmat"]
HOSTILE_TYPES += ["numpy.f2py.compile", "shutil.rmtree", "importlib.import_module", "sklearn.utils.__builtins__.eval"]


@pytest.mark.parametrize("name", HOSTILE_TYPES)
@pytest.mark.parametrize("loader", ["TypeNode", "ObjectNode", "FunctionNode", "PartialNode", "ReduceNode"])
def test_a_skops_file_with_a_type_that_could_run_code(name: str, loader: str, forest: Path) -> None:
    module, _, kind = name.rpartition(".")
    called = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": '"x"', "is_json": True}
    extra = {"__class__": kind, "__module__": module, "__loader__": loader, "__id__": 990, "content": called}

    def plant(schema: dict[str, Any]) -> None:
        schema["content"]["content"]["planted"] = extra

    _change_skops(forest, plant)
    _assert_refused(forest)


def _change_skops(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path, target = folder / "model.skops", io.BytesIO()
    with zipfile.ZipFile(path) as held, zipfile.ZipFile(target, "w") as written:
        for name in held.namelist():
            content = held.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            written.writestr(name, content)
    path.write_bytes(target.getvalue())


def test_object_arrays_in_the_arrays_of_a_ranking_model(ranking: Path) -> None:
    path = next(ranking.glob("*.npz"))
    with np.load(path) as held:
        arrays = dict(held)
    for name in arrays:
        bombs = np.array([Bomb(ranking.parent)] * len(arrays[name]), dtype=object)
        np.savez(path, **(arrays | {name: bombs}))
        _assert_refused(ranking, "cannot be read")


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir ['{mark}']",
        "!!python/object/new:os.mkdir ['{mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:os.system {{}}",
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> ['{mark}']",
    ],
)
def test_python_in_the_mlmodel_file(tag: str, forest: Path) -> None:
    path = forest / "MLmodel"
    text = path.read_text()
    planted = tag.format(mark=forest.parent / MARK)
    for content in (f"{text}\nplanted: {planted}\n", planted, text.replace("flavors:", f"flavors: {planted}\nold:")):
        path.write_text(content)
        _assert_refused(forest, "MLmodel")


def test_yaml_that_grows_without_end(forest: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (forest / "MLmodel").write_text("\n".join(lines))
    _assert_refused(forest)


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_yaml_that_is_nested_without_end(depth: int, forest: Path) -> None:
    (forest / "MLmodel").write_text("[" * depth + "]" * depth)
    _assert_refused(forest, "MLmodel")


@pytest.mark.parametrize(
    "content", ["", "[]", "7", "flavors:", "flavors: []", "flavors: x", "flavors: {penstock: 1}", "\0"]
)
def test_an_mlmodel_file_that_says_nothing(content: str, forest: Path) -> None:
    (forest / "MLmodel").write_text(content)
    _assert_refused(forest)


@pytest.mark.parametrize(
    "name", ["os", "evil", "../evil", "penstock.registry.format.flavors.sklearn", "sklearn.py", ""]
)
def test_another_flavor_or_loader_is_not_imported(name: str, forest: Path) -> None:
    (forest / "evil.py").write_text(f"import os; os.mkdir({str(forest.parent / MARK)!r})")
    _change(forest, lambda content: content["flavors"]["python_function"].update(loader_module=name, code="."))
    assert _open(forest).task == "binary"  # that section is MLflow's; we never follow it
    assert not list(forest.parent.rglob(MARK))
    _change(forest, lambda content: content["flavors"]["penstock"].update(flavor=name))
    _assert_refused(forest, "flavor")


def test_an_unknown_field_leads_to_no_file(forest: Path) -> None:
    (forest.parent / "outside.skops").write_bytes(pickle.dumps(Bomb(forest.parent)))
    for field in ("data", "path", "model_path", "pickled_model", "artifact_path"):
        _change(forest, lambda content, field=field: content["flavors"]["penstock"].update({field: "../outside.skops"}))
        try:
            assert _open(forest).task == "binary"
        except PenstockError as error:
            assert field in str(error)
    assert not list(forest.parent.rglob(MARK))


def test_a_link_leads_to_nothing_that_is_executed(forest: Path) -> None:
    outside = forest.parent / "outside.pkl"
    outside.write_bytes(pickle.dumps(Bomb(forest.parent)))
    (forest / "model.skops").unlink()
    (forest / "model.skops").symlink_to(outside)
    _assert_refused(forest)
    (forest / "more").symlink_to(forest.parent)
    with pytest.raises(InvalidInputError):
        _open(forest)


def test_a_link_to_itself_or_to_nowhere_is_refused(forest: Path) -> None:
    for target in ("MLmodel", "/nowhere", "/dev/zero", "/dev/stdin"):
        (forest / "MLmodel").unlink()
        (forest / "MLmodel").symlink_to(target)
        with pytest.raises(PenstockError):
            _open(forest)


@pytest.mark.parametrize("tree", ["../victim", "/etc", "..", ".", "", "x", "a/b", "A" * 64, "\0", "é" * 64])
def test_a_tree_that_is_no_digest_removes_and_opens_nothing(tree: str, tmp_path: Path) -> None:
    objects: ObjectStore = open_object_store(tmp_path / "objects")
    victim = tmp_path / "cache" / "victim"
    victim.mkdir(parents=True)
    (victim / "dear.txt").write_text("keep me")
    for name in (tree, str(victim)):
        with pytest.raises(InvalidInputError, match="digest"):
            open_tree(objects, Digest(name), tmp_path / "cache", unvetted(tmp_path))
    assert (victim / "dear.txt").read_text() == "keep me"


def test_a_zip_that_unpacks_into_gigabytes_is_refused(forest: Path, ranking: Path) -> None:
    for path in (forest / "model.skops", next(ranking.glob("*.npz"))):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
            written.writestr("schema.json", b"[" * 50_000_000)
    _assert_refused(forest)
    _assert_refused(ranking)
