"""The records of trust: decisions about code, signatures, and the keys that are trusted to sign."""

from datetime import datetime

from msgspec import Struct

from penstock.core.errors import ConflictError, PermissionDeniedError
from penstock.core.ids import Digest, Ref


class NotTrustedError(PermissionDeniedError):
    """Loading the model would run code that nobody vouches for."""


class NotSignedError(ConflictError):
    """A model lacks the signature that this penstock demands."""


class TrustDecision(Struct, frozen=True, kw_only=True):
    """Somebody's word that the code in a model directory may run, or that it may not any more; the last one counts."""

    number: int
    tree: Digest  # the model directory
    trusted: bool
    at: datetime
    actor: str
    reason: str
    evidence: tuple[str, ...] = ()  # what it rests on, as kind:id

    @property
    def ref(self) -> Ref:
        """How lineage and audit name what was decided on."""
        return tree_ref(self.tree)


class Signer(Struct, frozen=True, kw_only=True):
    """A key whose signatures count."""

    fingerprint: str  # SHA-256 of the public key in PEM, by which signatures name it
    name: str
    public_key: str  # PEM
    added_at: datetime
    added_by: str


class ModelSignature(Struct, frozen=True, kw_only=True):
    """A signature of a model directory."""

    tree: Digest
    signer: str  # the fingerprint of its key
    bundle: str  # what stands in a `model.sig`
    at: datetime
    actor: str


class Standing(Struct, frozen=True, kw_only=True):
    """What is to be known of a model directory before it is loaded."""

    tree: Digest
    decision: TrustDecision | None = None
    signatures: tuple[ModelSignature, ...] = ()
    signers: tuple[Signer, ...] = ()  # whose signatures count
    demanded: tuple[str, ...] = ()  # names of signers, one of whom has to have signed; empty: nobody has to

    def require_trust(self, name: str, reason: str) -> None:
        """Refuse to run the code of a model that nobody vouches for.

        Args:
            name: the model, as commands name it.
            reason: why its code would run.

        Raises:
            NotTrustedError: there is no decision, or the last one withdrew the trust.
        """
        if self.decision is not None and self.decision.trusted:
            return
        why = "nobody vouches for it"
        if self.decision is not None:
            why = f"{self.decision.actor} withdrew the trust in it: {self.decision.reason}"
        raise NotTrustedError(
            f"{name} is not loaded: {reason}, and {why}",
            hint=f"read its code, then: penstock models trust {name} --reason 'WHY'",
        )


def tree_ref(tree: Digest) -> Ref:
    """How lineage and audit name a model directory."""
    return Ref("model-tree", tree)
