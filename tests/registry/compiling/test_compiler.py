"""Versions that another tool saved are compiled after they were registered: in a process, and into a copy."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from factories import open_database
from penstock.core.events import Entry
from penstock.registry.compiling.compiler import VersionCompiler
from penstock.registry.format.types import ModelFacts
from penstock.registry.loading import Vetting, open_model
from penstock.registry.service import RegistryService
from penstock.registry.signing import bundle
from penstock.registry.signing.keys import SigningKey
from penstock.registry.signing.manifest import FILE, read_folder
from penstock.registry.trust.service import TrustService
from penstock.registry.trust.signer import OwnSigner
from penstock.registry.types import ModelVersion
from penstock.storage.database import Database
from penstock.storage.objects.open import open_object_store
from vetting import unvetted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no sandbox but on Linux")
MADE = Path(__file__).parents[1] / "format" / "made_by_mlflow"  # by MLflow 3.17.2


class World:
    """A registry, what compiles its versions, and a directory of MLflow that is not registered yet."""

    def __init__(self, db: Database, folder: Path, made: str = "sk_skops") -> None:
        self.objects = open_object_store(folder / "objects")
        self.registry = RegistryService(db)
        self.trust = TrustService(db, self.registry, self.objects)
        self.signer = OwnSigner(db, self.registry, self.trust, self.objects, folder)
        self.vetting = Vetting(find_standing=self.trust.get_standing, settings=unvetted(folder).settings)
        self.compiler = VersionCompiler(db, self.registry, self.objects, folder / "cache", self.vetting)
        self.cache = folder / "cache"
        self.folder = Path(shutil.copytree(MADE / made, folder / "model"))
        self.use_what_is_here()

    def use_what_is_here(self) -> None:
        """Let the directory ask for no version that another machine had."""
        (self.folder / "requirements.txt").write_text("scikit-learn\nskops\nlightgbm\n")

    def register(self) -> ModelVersion:
        if self.registry.search_models().models == []:
            self.registry.create_model("churn")
        tree = self.objects.put_tree(self.folder)
        return self.registry.add_version("churn", "runs:/1/model", tree=tree, facts=ModelFacts(flavor="sklearn"))

    def compile(self) -> ModelVersion:
        """The newest version once there is nothing to compile."""
        while self.compiler.tick():
            pass
        return self.registry.resolve("models:/churn/latest")


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return open_database(tmp_path)


@pytest.fixture
def world(db: Database, tmp_path: Path) -> Iterator[World]:
    world = World(db, tmp_path)
    yield world
    world.signer.close()


def test_a_version_of_mlflow_runs_in_its_fast_form_and_stays_what_it_is(world: World, entries: list[Entry]) -> None:
    key = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    world.trust.add_signer("somebody", key.public.pem)
    (world.folder / FILE).write_text(bundle.sign(read_folder(world.folder), key))
    before = world.register()
    assert before.describe_form() == "as it is: it waits for a server to compile it"
    after = world.compile()
    assert (after.version, after.tree) == (before.version, before.tree)
    assert after.describe_form().startswith("ONNX: ")
    assert after.fast_tree not in (None, before.tree)
    assert world.registry.find_fast_trees({before.tree}) == {before.tree: after.fast_tree}
    (entry,) = [entry for entry in entries if entry.action == "registry.compile"]
    assert entry.subject == after.ref
    world.signer.close()
    names = {signer.fingerprint: signer.name for signer in world.trust.list_signers()}
    (held,) = world.trust.get_standing(after.fast_tree).signatures
    assert names[held.signer].startswith("penstock on "), "the copy is signed by whoever made it"
    assert open_model(world.objects, after, world.cache, world.vetting).is_fast


@pytest.mark.slow
def test_the_same_files_under_two_names_are_each_looked_at_once(world: World) -> None:
    world.register()
    world.register()
    assert [world.compiler.tick() for _ in range(3)] == [True, True, False]


def test_a_pickle_is_not_opened(world: World) -> None:
    content = yaml.safe_load((world.folder / "MLmodel").read_text())
    content["flavors"]["sklearn"] = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "code": None}
    (world.folder / "MLmodel").write_text(yaml.safe_dump(content))
    (world.folder / "model.pkl").write_bytes(b"no pickle, and nobody ever finds out")
    world.register()
    version = world.compile()
    assert version.fast_tree is None
    assert version.describe_form().startswith("as it is: its format (pickle) executes code")


@pytest.mark.slow
def test_a_model_that_cannot_be_compiled_says_why(db: Database, tmp_path: Path) -> None:
    world = World(db, tmp_path, "lgb_b")  # saved without an input example: there are no rows to compare on
    world.register()
    version = world.compile()
    world.signer.close()
    assert version.fast_tree is None
    assert "has no input example" in version.describe_form()


def test_a_damaged_model_is_written_down_and_not_tried_again(world: World) -> None:
    (world.folder / "model.skops").write_bytes(b"PK\x03\x04 and no more")
    world.register()
    assert not (version := world.compile()).fast_tree
    assert version.fast_form is not None and version.fast_form.reason


def test_a_compiler_that_was_stopped_leaves_the_version_to_the_next(world: World) -> None:
    world.register()
    world.compiler.stop()
    with pytest.raises(Exception, match="this server ends"):
        world.compiler.tick()
    assert world.registry.find_uncompiled() is not None
