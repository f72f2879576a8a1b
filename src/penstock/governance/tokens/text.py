"""The text of a token: `pst_`, its id, its secret, and a checksum that finds a mistyped one without looking it up."""

import hashlib
import re
import secrets
import zlib

PREFIX = "pst_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # 5 bits a character, none to be confused with another
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 8, 40, 7  # a secret of 200 bits
_TEXT = re.compile(rf"{PREFIX}[{_ALPHABET}]{{{_ID_LENGTH}}}_[{_ALPHABET}]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}")


def make_token_text() -> str:
    """A new one, from the system's source of randomness."""
    start = f"{PREFIX}{_random(_ID_LENGTH)}_{_random(_SECRET_LENGTH)}"
    return start + _checksum(start)


def is_token_text(text: str) -> bool:
    """Whether this was a token of some server once; a mistyped or cut one was not."""
    return _TEXT.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]


def id_of(text: str) -> str:
    """The id that stands where a token has it."""
    return text[len(PREFIX) : len(PREFIX) + _ID_LENGTH]


def digest_of(text: str) -> bytes:
    """What is kept of a token, or of a session's cookie: with 200 random bits, SHA-256 is slow enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _random(length: int) -> str:
    return "".join(_ALPHABET[byte & 31] for byte in secrets.token_bytes(length))


def _checksum(text: str) -> str:
    value = zlib.crc32(text.encode())
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(30, -1, -5))
