"""The signature file: a Sigstore bundle with a DSSE envelope around an in-toto statement.

Source: the OpenSSF model signing specification (predicate https://model_signing/signature/v1.0), in-toto Statement v1,
DSSE v1.0.0, and version 0.3 of the Sigstore bundle.
"""

import base64
import binascii
import hashlib
from typing import Any

import msgspec
from msgspec import Struct, field

from penstock.registry.signing.keys import PublicKey, SigningKey
from penstock.registry.signing.manifest import FILE, GIT, AlteredError, Manifest

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_LENGTHS = {"sha256": 64, "blake3": 64}  # hexadecimal digits, by the algorithms that are read here


class _PublicKeyHint(Struct):
    hint: str | None = None


class _Material(Struct, rename="camel"):
    public_key: _PublicKeyHint
    tlog_entries: list[Any] = field(default_factory=list)


class _Signature(Struct):
    sig: str
    keyid: str = ""


class _Envelope(Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _Bundle(Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope


class _Subject(Struct):
    name: str
    digest: dict[str, str]


class _Resource(Struct):
    name: str
    algorithm: str
    digest: str


class _Serialization(Struct):
    method: str
    hash_type: str
    allow_symlinks: bool = False
    ignore_paths: list[str] = field(default_factory=list)


class _Predicate(Struct):
    serialization: _Serialization
    resources: list[_Resource]


class _Statement(Struct, rename={"kind": "_type", "predicate_type": "predicateType"}):
    kind: str
    subject: list[_Subject]
    predicate_type: str
    predicate: _Predicate


def sign(manifest: Manifest, key: SigningKey) -> str:
    """A signature of a manifest, as the text of its file."""
    resources = [_Resource(path, manifest.algorithm, digest) for path, digest in manifest.files.items()]
    statement = _Statement(
        kind=_STATEMENT,
        subject=[_Subject(manifest.name, {"sha256": _digest_all(resources)})],
        predicate_type=_PREDICATE,
        predicate=_Predicate(
            _Serialization("files", manifest.algorithm, ignore_paths=list(manifest.ignored)), resources
        ),
    )
    payload = msgspec.json.encode(statement)
    envelope = _Envelope(
        payload=base64.b64encode(payload).decode(),
        payload_type=_PAYLOAD,
        signatures=[_Signature(base64.b64encode(key.sign(_to_sign(payload))).decode())],
    )
    bundle = _Bundle(
        media_type=_BUNDLE,
        verification_material=_Material(_PublicKeyHint(key.public.fingerprint)),
        dsse_envelope=envelope,
    )
    return msgspec.json.encode(bundle).decode()


def find_signer(text: str) -> str:
    """The fingerprint of the key that a signature says it was made with; empty when it does not say.

    Raises:
        AlteredError: it is no signature.
    """
    return _read(text).verification_material.public_key.hint or ""


def verify(text: str, key: PublicKey) -> Manifest:
    """What a signature speaks for.

    Raises:
        AlteredError: the key did not make it, or it says something that is not understood here.
    """
    bundle = _read(text)
    envelope = bundle.dsse_envelope
    hint = bundle.verification_material.public_key.hint
    if hint and hint != key.fingerprint:
        raise AlteredError(f"the signature was made with the key {hint[:16]} and not with {key.fingerprint[:16]}")
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(held.sig, validate=True) for held in envelope.signatures]
    except (binascii.Error, ValueError) as error:
        raise _unreadable(error) from error
    if envelope.payload_type != _PAYLOAD or not signatures or not key.is_signed(_to_sign(payload), signatures[0]):
        raise AlteredError(f"the signature does not hold: the key {key.fingerprint[:16]} did not make it")
    try:
        return _to_manifest(msgspec.json.decode(payload, type=_Statement))
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def _read(text: str) -> _Bundle:
    try:
        return msgspec.json.decode(text, type=_Bundle)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> AlteredError:
    return AlteredError(f"the signature cannot be read: {error}", hint="it has to be made with an EC key")


def _to_manifest(statement: _Statement) -> Manifest:
    predicate = statement.predicate
    if statement.kind != _STATEMENT or statement.predicate_type != _PREDICATE or len(statement.subject) != 1:
        raise AlteredError(f"a signature of {statement.predicate_type!r} is not understood here")
    how = predicate.serialization
    if how.method != "files" or how.hash_type not in _LENGTHS:
        raise AlteredError(
            f"a signature of {how.method} by {how.hash_type} is not understood here",
            hint="sign whole files by sha256 or blake3",
        )
    files = {item.name: item.digest for item in predicate.resources}
    for item in predicate.resources:
        if item.algorithm != how.hash_type or len(item.digest) != _LENGTHS[how.hash_type]:
            raise AlteredError(f"the signature gives no digest of {item.name} that is understood here")
    if len(files) != len(predicate.resources) or _digest_all(predicate.resources) != statement.subject[0].digest.get(
        "sha256"
    ):
        raise AlteredError("the signature contradicts itself: its files do not make up the model it names")
    ignored = tuple(path for path in how.ignore_paths if path in (FILE, *GIT))
    return Manifest(name=statement.subject[0].name, files=files, algorithm=how.hash_type, ignored=ignored)


def _digest_all(resources: list[_Resource]) -> str:
    """One digest for all: SHA-256 over the digests of the files, in the order they stand."""
    try:
        return hashlib.sha256(b"".join(bytes.fromhex(item.digest) for item in resources)).hexdigest()
    except ValueError as error:
        raise _unreadable(error) from error


def _to_sign(payload: bytes) -> bytes:
    """What is signed of an envelope: its type and content, each with its length."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)
