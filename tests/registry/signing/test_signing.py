"""Signatures of model directories: whatever happens to any file is seen, and nothing else is."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from sklearn.linear_model import LinearRegression

from penstock.core.errors import InvalidInputError
from penstock.registry.format.saving import save_model
from penstock.registry.signing import bundle
from penstock.registry.signing.keys import SigningKey, open_own_key, read_public_key, read_signing_key
from penstock.registry.signing.manifest import AlteredError, check_files, read_folder, read_tree
from penstock.storage.objects.open import open_object_store

KEY = SigningKey(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "churn"
    sample = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0]})
    model = LinearRegression().fit(sample.to_numpy(), [1.0, 2.0, 3.0])
    save_model(model, folder, task="regression", sample=sample)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "weights.bin").write_bytes(bytes(range(256)) * 10)
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "churn"))


def check(text: str, folder: Path, key: SigningKey = KEY) -> None:
    manifest = bundle.verify(text, key.public)
    check_files(manifest, read_folder(folder, manifest.algorithm).files, "churn")


def all_files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_change_of_every_file_is_seen(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    check(text, model)
    files = list(all_files(model))
    assert len(files) >= 7
    for path in files:
        content, name = path.read_bytes(), path.relative_to(model).as_posix()
        changes = [content + b"x", content[:-1], b"", bytes(content[:1]) + b"!" + content[2:]]
        for changed in changes:
            if changed == content:
                continue
            path.write_bytes(changed)
            with pytest.raises(AlteredError, match=f"{name} was changed"):
                check(text, model)
        path.unlink()
        with pytest.raises(AlteredError, match=f"{name} is missing"):
            check(text, model)
        moved = path.with_name("moved")
        moved.write_bytes(content)
        with pytest.raises(AlteredError, match=r"is called|is missing"):
            check(text, model)
        moved.unlink()
        path.write_bytes(content)
        added = path.with_name(path.name + ".more")
        added.write_bytes(b"")
        with pytest.raises(AlteredError, match=f"{name}.more was added"):
            check(text, model)
        added.unlink()
    check(text, model)


def test_a_renamed_file_is_told_as_such(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    (model / "deep" / "er" / "weights.bin").rename(model / "weights.bin")
    with pytest.raises(AlteredError, match=r"deep/er/weights.bin is called weights.bin now"):
        check(text, model)


def test_two_files_cannot_change_places(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    one, other = (model / "conda.yaml").read_bytes(), (model / "python_env.yaml").read_bytes()
    (model / "conda.yaml").write_bytes(other)
    (model / "python_env.yaml").write_bytes(one)
    with pytest.raises(AlteredError, match=r"conda.yaml was changed, python_env.yaml was changed"):
        check(text, model)


def test_its_own_file_is_no_part_of_what_is_signed(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    (model / "model.sig").write_text(text)
    check(text, model)
    assert bundle.sign(read_folder(model), KEY) != ""
    (model / "deep" / "model.sig").write_text(text)
    with pytest.raises(AlteredError, match=r"deep/model.sig was added"):
        check(text, model)


def test_a_folder_and_its_tree_have_the_same_manifest(model: Path, tmp_path: Path) -> None:
    objects = open_object_store(str(tmp_path / "objects"))
    assert read_tree(objects, objects.put_tree(model), "churn") == read_folder(model)
    assert read_tree(objects, objects.put_tree(model), "churn", "blake3") == read_folder(model, "blake3")


def test_links_are_not_signed(model: Path) -> None:
    (model / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInputError, match="is no plain file"):
        read_folder(model)


def test_another_key_is_refused(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    other = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(AlteredError, match="was made with the key"):
        check(text, model, other)
    told = json.loads(text)
    told["verificationMaterial"]["publicKey"]["hint"] = other.public.fingerprint
    with pytest.raises(AlteredError, match="does not hold"):
        check(json.dumps(told), model, other)


def test_every_byte_of_a_signature_counts(model: Path) -> None:
    text = bundle.sign(read_folder(model), KEY)
    envelope = json.loads(text)["dsseEnvelope"]
    payload = json.loads(base64.b64decode(envelope["payload"]))

    def refuse(**changed: object) -> None:
        told = json.loads(text)
        told["dsseEnvelope"] |= changed
        with pytest.raises(AlteredError):
            check(json.dumps(told), model)

    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    refuse(payload=base64.b64encode(json.dumps(payload).encode()).decode())
    refuse(payload="!!")
    refuse(payloadType="text/plain")
    refuse(signatures=[])
    refuse(signatures=[{"sig": base64.b64encode(bytes(70)).decode(), "keyid": ""}])
    for broken in ("", "{}", "null", text[:-2], "[" * 100_000):
        with pytest.raises(AlteredError, match="cannot be read"):
            check(broken, model)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("predicateType",), "https://model_signing/Digests/v0.1"),
        (("predicate", "serialization", "method"), "shards"),
        (("predicate", "serialization", "hash_type"), "md5"),
        (("subject", 0, "digest", "sha256"), "0" * 64),
        (("predicate", "resources", 0, "digest"), "zz"),
        (("predicate", "resources", 0, "algorithm"), "md5"),
    ],
)
def test_what_is_signed_has_to_be_understood(model: Path, place: tuple[str | int, ...], value: str) -> None:
    told = json.loads(bundle.sign(read_folder(model), KEY))
    statement = json.loads(base64.b64decode(told["dsseEnvelope"]["payload"]))
    at = statement
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    payload = json.dumps(statement).encode()
    told["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    told["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(KEY.sign(bundle._to_sign(payload))).decode()}]
    with pytest.raises(AlteredError):
        check(json.dumps(told), model)


def test_paths_that_a_signature_leaves_out_are_not_left_out(model: Path) -> None:
    told = json.loads(bundle.sign(read_folder(model), KEY))
    statement = json.loads(base64.b64decode(told["dsseEnvelope"]["payload"]))
    statement["predicate"]["serialization"]["ignore_paths"] = ["model.sig", "code", ".git"]
    payload = json.dumps(statement).encode()
    told["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    told["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(KEY.sign(bundle._to_sign(payload))).decode()}]
    (model / ".git").mkdir()
    (model / ".git" / "config").write_text("")
    check(json.dumps(told), model)  # Git's own files never take part, where the signature says so
    (model / "code").mkdir()
    (model / "code" / "evil.py").write_text("")
    with pytest.raises(AlteredError, match=r"code/evil.py was added"):
        check(json.dumps(told), model)


def test_our_own_key_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    key = open_own_key(tmp_path)
    assert open_own_key(tmp_path).public.fingerprint == key.public.fingerprint
    assert (tmp_path / "signing" / "model.key").stat().st_mode & 0o777 == 0o600
    assert read_signing_key(tmp_path / "signing" / "model.key").public.pem == key.public.pem


def test_only_keys_of_elliptic_curves_sign_models(tmp_path: Path) -> None:
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(InvalidInputError, match="signs no models"):
        read_public_key(pem)
    koblitz = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(InvalidInputError, match="curve secp256k1"):
        SigningKey(koblitz)
    with pytest.raises(InvalidInputError, match="no public key in PEM"):
        read_public_key("hello")
    (tmp_path / "key").write_text("hello")
    with pytest.raises(InvalidInputError, match="holds no private key"):
        read_signing_key(tmp_path / "key")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_signing_key(tmp_path / "absent")
