"""Whether a model directory is what those who are trusted have signed."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from penstock.registry.signing import bundle
from penstock.registry.signing.keys import read_public_key
from penstock.registry.signing.manifest import FILE, AlteredError, Manifest, check_files, read_folder
from penstock.registry.trust.types import NotSignedError, Signer, Standing

ReadManifest = Callable[[str], Manifest]  # the files as they are, by an algorithm


def check_folder(folder: Path, standing: Standing, name: str) -> str:
    """Check a folder against the signatures of its directory, and against the one that it carries.

    Args:
        folder: the model directory.
        standing: what is known of it.
        name: how to call it in a message.

    Returns:
        The name of whoever signed it; empty where nobody did.

    Raises:
        AlteredError: it was signed and is not that any more, or by a key that does not count.
        NotSignedError: somebody has to have signed it, and has not.
    """
    carried = folder / FILE
    texts = [held.bundle for held in standing.signatures]
    if carried.is_file():
        texts.append(carried.read_text(errors="replace"))
    found = check_signatures(texts, standing.signers, lambda algorithm: read_folder(folder, algorithm), name)
    check_demand(found, standing.demanded, name)
    return next(iter(found), "")


def check_signatures(texts: Sequence[str], signers: Sequence[Signer], read: ReadManifest, name: str) -> list[str]:
    """Check what is there against each of its signatures; the names of whoever signed it. See `check_folder`."""
    found: list[str] = []
    for text in texts:
        manifest, signer = verify(text, signers, name)
        check_files(manifest, read(manifest.algorithm).files, name)
        found.append(signer.name)
    return found


def check_demand(found: Collection[str], demanded: Collection[str], name: str) -> None:
    """Refuse what none of those has signed who have to.

    Raises:
        NotSignedError: as it says.
    """
    if demanded and not set(found) & set(demanded):
        held = f"only by {' and '.join(found)}" if found else "by nobody"
        raise NotSignedError(
            f"{name} is signed {held}, and PENSTOCK_SIGNED_BY demands {' or '.join(demanded)}",
            hint="penstock models sign --key KEY.pem",
        )


def verify(text: str, signers: Sequence[Signer], name: str) -> tuple[Manifest, Signer]:
    """What a signature speaks for, and whose it is.

    Raises:
        AlteredError: no key that counts made it.
    """
    hint = bundle.find_signer(text)
    named = [signer for signer in signers if not hint or signer.fingerprint == hint]
    problem: AlteredError | None = None
    for signer in named:
        try:
            return bundle.verify(text, read_public_key(signer.public_key)), signer
        except AlteredError as error:
            problem = error
    if problem is not None:
        raise AlteredError(f"{name}: {problem.message}", hint=problem.hint) from problem
    raise AlteredError(
        f"{name} is signed with the key {hint[:16] or '(not named)'}, which is not among those that count",
        hint="if you trust whoever signed it: penstock models keys add NAME PUBLIC_KEY.pem",
    )
