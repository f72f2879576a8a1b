"""What `penstock models trust`, `distrust`, `sign` and `verify` are about."""

import re
from pathlib import Path

from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.cli.session import open_project
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.registry.loading import digest_folder
from penstock.registry.names import version_uri
from penstock.registry.trust.types import Standing

TARGET = "A version's number, an alias, models:/NAME/VERSION, a model directory, or its digest."
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Target(Struct, frozen=True):
    """What a command is about."""

    name: str
    tree: Digest
    folder: Path | None = None  # where it is no registered version


def find_target(services: Services, target: str, model: str) -> Target:
    """What the target of a command means.

    Raises:
        NotFoundError: there is no such version or folder.
    """
    if _DIGEST.fullmatch(target):
        return Target(target, Digest(target))
    folder = Path(target)
    if not target.startswith("models:/") and folder.is_dir():
        return Target(target, digest_folder(folder), folder)
    if "/" in target and not target.startswith("models:/"):
        raise NotFoundError(f"there is no model directory {target}")
    named = target
    if not target.startswith("models:/"):
        named = version_uri(model or open_project().name, target)
    version = services.registry.resolve(named)
    return Target(version.uri, version.get_tree())


def tell_standing(standing: Standing | None) -> list[tuple[str, object]]:
    """Who vouches for a version, as facts of its page; what nobody has said is left out."""
    if standing is None:
        return []
    names = {held.fingerprint: held.name for held in standing.signers}
    signed = [names.get(held.signer, f"a key that counts no more ({held.signer[:16]})") for held in standing.signatures]
    facts: list[tuple[str, object]] = [("signed by", ", ".join(signed))]
    if standing.decision is not None:
        word = "trusted" if standing.decision.trusted else "not trusted"
        facts.append(("its code", f"{word} by {standing.decision.actor}: {standing.decision.reason}"))
    return [(name, value) for name, value in facts if value]


def read_key_file(path: Path) -> str:
    """The text of a key.

    Raises:
        InvalidInputError: there is none.
    """
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the key {path} cannot be read: {error}") from error
