"""Keys that sign models: elliptic curves, in PEM."""

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.core.errors import InvalidInputError
from penstock.core.key_file import load_or_make_key

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_KEY = Path("signing") / "model.key"


class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        pem: as text.
        fingerprint: SHA-256 of that, by which signatures name their key.
    """

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        if key.curve.name not in _HASHES:
            raise InvalidInputError(
                f"a key of curve {key.curve.name} signs no models", hint=f"use one of {', '.join(_HASHES)}"
            )
        self._key = key
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.pem = pem.decode()
        self.fingerprint = hashlib.sha256(pem).hexdigest()

    def is_signed(self, content: bytes, signature: bytes) -> bool:
        """Whether the key signed this."""
        try:
            self._key.verify(signature, content, ec.ECDSA(_HASHES[self._key.curve.name]))
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A key that makes signatures."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def sign(self, content: bytes) -> bytes:
        """A signature of this."""
        return self._key.sign(content, ec.ECDSA(_HASHES[self._key.curve.name]))


def read_public_key(pem: str) -> PublicKey:
    """A public key from PEM.

    Raises:
        InvalidInputError: it is none of an elliptic curve that signs models.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(
            "this is no public key in PEM", hint="it begins with -----BEGIN PUBLIC KEY-----"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInputError(f"a {type(key).__name__} signs no models", hint="make an EC key of curve P-256")
    return PublicKey(key)


def read_signing_key(path: Path) -> SigningKey:
    """A private key from a PEM file that has no password.

    Raises:
        InvalidInputError: it cannot be read, or is none of an elliptic curve.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InvalidInputError(f"the key {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(
            f"{path} holds no private key without a password",
            hint="make one: openssl ecparam -name prime256v1 -genkey -noout -out FILE",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInputError(f"{path} holds a {type(key).__name__}", hint="models are signed with EC keys")
    return SigningKey(key)


def open_own_key(home: Path) -> SigningKey:
    """The key of a home folder, made when it is first asked for; nobody but its owner can read it."""
    path = home / _KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    return SigningKey(
        load_or_make_key(path, lambda: ec.generate_private_key(ec.SECP256R1()), ec.EllipticCurvePrivateKey)
    )
