"""Who vouches for what: decisions, keys and signatures, and what the registry refuses because of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sklearn.linear_model import LinearRegression

from factories import open_database
from penstock.core.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from penstock.core.events import Entry
from penstock.core.ids import Digest, RunId
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.loading import open_folder, open_tree
from penstock.registry.service import RegistryService
from penstock.registry.signing import bundle
from penstock.registry.signing.keys import SigningKey
from penstock.registry.signing.manifest import AlteredError, read_folder
from penstock.registry.trust.service import OWN_CODE, TrustService
from penstock.registry.trust.signer import OwnSigner
from penstock.registry.trust.types import NotSignedError, NotTrustedError, Standing
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from vetting import unvetted

TREE = Digest("a" * 64)
SAMPLE = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0]})


class World:
    """A registry with an object store, and a model directory that is not registered yet."""

    def __init__(self, db: Database, folder: Path, demanded: tuple[str, ...] = ()) -> None:
        self.db = db
        self.objects: ObjectStore = open_object_store(folder / "objects")
        self.registry = RegistryService(db)
        self.trust = TrustService(db, self.registry, self.objects, demanded)
        self.folder = folder / "model"
        model = LinearRegression().fit(SAMPLE.to_numpy(), [1.0, 2.0, 3.0])
        self.info: ModelInfo = save_model(model, self.folder, task="regression", sample=SAMPLE)
        self.key = SigningKey(ec.generate_private_key(ec.SECP256R1()))

    def register(self) -> Digest:
        tree = self.objects.put_tree(self.folder)
        self.registry.register("churn", None, tree, self.info)
        return tree

    def sign(self) -> None:
        (self.folder / "model.sig").write_text(bundle.sign(read_folder(self.folder), self.key))

    def load(self, tree: Digest, folder: Path) -> object:
        vetting = unvetted(folder)
        opened = type(vetting)(find_standing=self.trust.get_standing, settings=vetting.settings)
        return open_tree(self.objects, tree, folder / "cache", opened, name="models:/churn/1")


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return open_database(tmp_path)


@pytest.fixture
def world(db: Database, tmp_path: Path) -> World:
    return World(db, tmp_path)


def test_the_last_decision_counts_and_all_are_kept(world: World, entries: list[Entry]) -> None:
    trust = world.trust
    assert trust.get_standing(TREE) == Standing(tree=TREE)
    trust.trust(TREE, "read it line by line", ("report:r1",))
    assert trust.get_standing(TREE).decision is not None
    trust.get_standing(TREE).require_trust("models:/churn/1", "it is a pickle")
    trust.distrust(TREE, "it calls home")
    with pytest.raises(NotTrustedError, match="tester withdrew the trust in it: it calls home"):
        trust.get_standing(TREE).require_trust("models:/churn/1", "it is a pickle")
    told = [(held.trusted, held.reason, held.evidence) for held in trust.list_decisions(TREE)]
    assert told == [(False, "it calls home", ()), (True, "read it line by line", ("report:r1",))]
    assert [entry.action for entry in entries] == ["trust.trust", "trust.distrust"]
    assert trust.list_decisions(Digest("b" * 64)) == []


def test_a_refusal_says_the_command_that_would_allow_it() -> None:
    with pytest.raises(NotTrustedError) as refused:
        Standing(tree=TREE).require_trust("models:/churn/1", "its format (pickle) executes code")
    assert str(refused.value) == (
        "models:/churn/1 is not loaded: its format (pickle) executes code, and nobody vouches for it; "
        "read its code, then: penstock models trust models:/churn/1 --reason 'WHY'"
    )


def test_a_decision_needs_a_reason_and_a_digest(world: World) -> None:
    with pytest.raises(InvalidInputError, match="needs a reason"):
        world.trust.trust(TREE, " ")
    with pytest.raises(InvalidInputError):
        world.trust.trust(Digest("models:/churn/1"), "why not")


def test_what_a_run_made_of_the_projects_own_code_is_trusted(world: World) -> None:
    trust, run = world.trust, RunId("0" * 32)
    trust.trust_own(TREE, "pickle", run)
    assert trust.list_decisions(TREE) == []
    trust.trust_own(TREE, OWN_CODE, run)
    (decision,) = trust.list_decisions(TREE)
    assert decision.trusted
    assert decision.evidence == (f"run:{run}",)
    trust.distrust(TREE, "no")
    trust.trust_own(TREE, OWN_CODE, run)  # somebody has decided: a run does not decide against that
    assert not trust.list_decisions(TREE)[0].trusted


def test_keys_are_added_and_removed_under_a_name(world: World, entries: list[Entry]) -> None:
    trust, key = world.trust, world.key.public
    signer = trust.add_signer("the vendor", key.pem)
    assert signer.fingerprint == key.fingerprint
    with pytest.raises(AlreadyExistsError, match="counts already, as 'the vendor'"):
        trust.add_signer("again", key.pem)
    with pytest.raises(InvalidInputError):
        trust.add_signer("nobody", "hello")
    for wrong in ("", "zz"):
        with pytest.raises(NotFoundError):
            trust.remove_signer(wrong)
    trust.remove_signer(key.fingerprint[:8], "left")
    assert trust.list_signers() == []
    assert [entry.action for entry in entries] == ["trust.add_signer", "trust.remove_signer"]


def test_a_directory_that_carries_a_signature_is_checked_when_it_is_registered(world: World, tmp_path: Path) -> None:
    world.sign()
    with pytest.raises(AlteredError, match="which is not among those that count"):
        world.register()
    world.trust.add_signer("the vendor", world.key.public.pem)
    tree = world.register()
    assert [held.signer for held in world.trust.get_standing(tree).signatures] == [world.key.public.fingerprint]
    assert world.load(tree, tmp_path) is not None
    for path in sorted(path for path in world.folder.rglob("*") if path.is_file() and path.name != "model.sig"):
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        with pytest.raises(AlteredError, match=f"{path.relative_to(world.folder)} was changed"):
            world.register()
        path.write_bytes(content)
    assert world.register() == tree


def test_a_signature_that_does_not_fit_stops_promotion_and_load(world: World, tmp_path: Path) -> None:
    world.trust.add_signer("the vendor", world.key.public.pem)
    tree = world.register()
    elsewhere = tmp_path / "other"
    shutil.copytree(world.folder, elsewhere)
    (elsewhere / "conda.yaml").write_text("other")
    world.trust.record_signature(tree, bundle.sign(read_folder(elsewhere), world.key))
    for attempt in (
        lambda: world.registry.move_alias("churn", "champion", 1),
        lambda: world.load(tree, tmp_path),
    ):
        with pytest.raises(AlteredError, match=r"conda.yaml was changed"):
            attempt()
    assert world.registry.find_alias("churn", "champion") is None


def test_a_key_that_counts_no_more_stops_promotion_and_load(world: World, tmp_path: Path) -> None:
    world.trust.add_signer("the vendor", world.key.public.pem)
    tree = world.register()
    world.trust.record_signature(tree, bundle.sign(read_folder(world.folder), world.key))
    world.registry.move_alias("churn", "champion", 1)
    world.load(tree, tmp_path)
    world.trust.remove_signer(world.key.public.fingerprint, "lost")
    for attempt in (
        lambda: world.registry.move_alias("churn", "challenger", 1),
        lambda: world.load(tree, tmp_path),
    ):
        with pytest.raises(AlteredError, match="not among those that count"):
            attempt()


def test_only_keys_that_count_sign(world: World) -> None:
    tree = world.register()
    with pytest.raises(AlteredError, match="not among those that count"):
        world.trust.record_signature(tree, bundle.sign(read_folder(world.folder), world.key))


def test_altered_bytes_of_a_signed_folder_are_not_loaded(world: World, tmp_path: Path) -> None:
    world.trust.add_signer("the vendor", world.key.public.pem)
    world.sign()
    standing = world.trust.get_standing(TREE)
    settings = unvetted(tmp_path).settings
    assert open_folder(world.folder, standing, settings, name="model") is not None
    (world.folder / "added.py").write_text("")
    with pytest.raises(AlteredError, match=r"model is not what was signed: added.py was added"):
        open_folder(world.folder, standing, settings, name="model")


@pytest.fixture
def signer(world: World, tmp_path: Path) -> Iterator[OwnSigner]:
    signer = OwnSigner(world.db, world.registry, world.trust, world.objects, tmp_path / "home")
    yield signer
    signer.close()


def test_what_is_registered_is_signed_with_our_own_key(
    world: World, signer: OwnSigner, tmp_path: Path, entries: list[Entry]
) -> None:
    tree = world.register()
    signer.close()
    standing = world.trust.get_standing(tree)
    assert [held.signer for held in standing.signatures] == [held.fingerprint for held in standing.signers]
    assert standing.signers[0].name.startswith("penstock on ")
    assert [entry.action for entry in entries][-2:] == ["trust.add_signer", "trust.record_signature"]
    world.registry.move_alias("churn", "champion", 1)
    world.load(tree, tmp_path)


def test_a_version_whose_files_are_gone_is_passed_over(world: World, signer: OwnSigner) -> None:
    world.registry.register("lost", None, TREE, world.info)
    tree = world.register()
    signer.close()
    assert world.trust.get_standing(TREE).signatures == ()
    assert len(world.trust.get_standing(tree).signatures) == 1


def test_a_signature_can_be_demanded_at_registration_promotion_and_load(world: World, tmp_path: Path) -> None:
    unsigned = world.register()
    world.trust.add_signer("the vendor", world.key.public.pem)
    strict = World(world.db, tmp_path / "strict", ("the vendor", "somebody"))
    assert strict.objects.put_tree(world.folder) == unsigned
    told = "is signed by nobody, and PENSTOCK_SIGNED_BY demands the vendor or somebody"
    with pytest.raises(NotSignedError, match=told):
        strict.registry.register("other", None, unsigned, strict.info)
    with pytest.raises(NotSignedError, match=told):
        strict.registry.move_alias("churn", "champion", 1)
    with pytest.raises(NotSignedError, match=told):
        strict.load(unsigned, tmp_path)
    strict.trust.record_signature(unsigned, bundle.sign(read_folder(world.folder), world.key))
    strict.registry.move_alias("churn", "champion", 1)
    assert strict.load(unsigned, tmp_path) is not None


def test_what_a_run_made_is_registered_before_it_is_signed_and_not_promoted(world: World, tmp_path: Path) -> None:
    strict = World(world.db, tmp_path / "strict", ("the vendor",))
    tree = strict.objects.put_tree(world.folder)
    made = strict.registry.register("churn", RunId("0" * 32), tree, world.info)
    with pytest.raises(NotSignedError):
        strict.registry.move_alias("churn", "champion", made.version)
