"""The verbs of trust: whose word counts for the code and the files of models."""

from penstock.core.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref, RunId
from penstock.registry.lookup import Moment
from penstock.registry.names import check_text
from penstock.registry.service import RegistryService
from penstock.registry.signing.keys import PublicKey, read_public_key
from penstock.registry.signing.manifest import FILE, read_tree
from penstock.registry.trust import checking
from penstock.registry.trust.store import TrustStore
from penstock.registry.trust.types import ModelSignature, Signer, Standing, TrustDecision, tree_ref
from penstock.registry.types import ModelVersion
from penstock.storage.database import Database
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

OWN_CODE = "penstock_code"  # the flavor whose code is a project's own
_LONGEST_REASON = 2_000
_LARGEST_NAME = 250


class TrustService:
    """Decisions about code, signatures, and the keys that count.

    Args:
        db: where they are kept.
        registry: whose versions are checked.
        objects: where the files of models are.
        demanded: names of signers, one of whom has to have signed a model; empty: nobody has to.
    """

    noun = "trust"

    def __init__(
        self, db: Database, registry: RegistryService, objects: ObjectStore, demanded: tuple[str, ...] = ()
    ) -> None:
        self.db = db
        self._demanded = demanded
        self._store = TrustStore(db)
        self._objects = objects
        registry.check_with(self.check_version)

    @writes
    def trust(self, tx: Transaction, tree: Digest, reason: str, evidence: tuple[str, ...] = ()) -> TrustDecision:
        """Vouch for the code in a model directory: it may run, in a process without network and secrets.

        Args:
            tree: the directory, by its digest.
            reason: why, for the record.
            evidence: what that rests on, as `kind:id`.
        """
        return self._decide(tx, tree, True, reason, evidence)

    @writes
    def distrust(self, tx: Transaction, tree: Digest, reason: str, evidence: tuple[str, ...] = ()) -> TrustDecision:
        """Withdraw the trust in a model directory; a process that runs it is not started again.

        Args:
            tree: the directory, by its digest.
            reason: why, for the record.
            evidence: what that rests on, as `kind:id`.
        """
        return self._decide(tx, tree, False, reason, evidence)

    @logs
    def trust_own(self, tx: Transaction, tree: Digest, flavor: str, run_id: RunId) -> None:
        """Vouch for what a run of this project has made of the project's own code; nothing where somebody decided."""
        if flavor == OWN_CODE and not self._store.list_decisions(tx, tree, 1):
            self._decide(tx, tree, True, f"run {run_id} made it of this project's code", (str(Ref("run", run_id)),))

    @reads
    def list_decisions(self, tx: Transaction, tree: Digest | None = None, limit: int = 100) -> list[TrustDecision]:
        """Who vouched for which code and why, newest first; of one model directory, or of all."""
        return self._store.list_decisions(tx, tree, limit)

    @reads
    def get_standing(self, tx: Transaction, tree: Digest) -> Standing:
        """What is to be known of a model directory before it is loaded; asked at every load."""
        decisions = self._store.list_decisions(tx, tree, 1)
        return Standing(
            tree=tree,
            decision=decisions[0] if decisions else None,
            signatures=tuple(self._store.list_signatures(tx, tree)),
            signers=tuple(self._store.list_signers(tx)),
            demanded=self._demanded,
        )

    @writes
    def add_signer(self, tx: Transaction, name: str, public_key: str) -> Signer:
        """Let the signatures of a key count.

        Args:
            name: whose it is.
            public_key: an EC key in PEM.

        Raises:
            AlreadyExistsError: it counts already.
        """
        key = read_public_key(public_key)
        if not check_text(name, "name", _LARGEST_NAME).strip():
            raise InvalidInputError("a key needs a name: whose is it?", field="name")
        held = self._find_signer(tx, key.fingerprint)
        if held is not None:
            raise AlreadyExistsError(f"the key {key.fingerprint[:16]} counts already, as {held.name!r}")
        return self._add_signer(tx, name, key)

    @writes
    def remove_signer(self, tx: Transaction, fingerprint: str, reason: str = "") -> None:
        """Let the signatures of a key count no more: what only it has signed is refused from then on.

        Args:
            fingerprint: of the key, or how it begins.
            reason: for the record.

        Raises:
            NotFoundError: no such key, or several.
        """
        found = [held for held in self._store.list_signers(tx) if held.fingerprint.startswith(fingerprint)]
        if len(found) != 1 or not fingerprint:
            raise NotFoundError(
                f"{len(found)} keys begin with {fingerprint!r}", hint="'penstock models keys list' shows them"
            )
        self._store.remove_signer(tx, found[0].fingerprint)
        tx.record("trust.remove_signer", _signer_ref(found[0]), name=found[0].name, reason=reason)

    @reads
    def list_signers(self, tx: Transaction) -> list[Signer]:
        """The keys whose signatures count, by name."""
        return self._store.list_signers(tx)

    @writes
    def record_signature(self, tx: Transaction, tree: Digest, signature: str) -> ModelSignature:
        """Keep a signature of a model directory.

        Args:
            tree: the directory, by its digest.
            signature: what stands in a `model.sig`.

        Raises:
            AlteredError: no key that counts made it, or it speaks for other files.
        """
        _, signer = checking.verify(signature, self._store.list_signers(tx), "this signature")
        return self._keep(tx, tree, signature, signer)

    def record_own(self, tx: Transaction, tree: Digest, signature: str, key: PublicKey, place: str) -> None:
        """Keep a signature that this penstock's own key made; the key counts from the first one on."""
        signer = self._find_signer(tx, key.fingerprint) or self._add_signer(tx, place, key)
        self._keep(tx, tree, signature, signer)

    def check_version(self, tx: Transaction, version: ModelVersion, moment: Moment) -> None:
        """Refuse a version that was signed and is something else now, or lacks a signature that counts or is demanded.

        Every byte is read, piece by piece. What a run of this penstock made may be registered before it is signed.

        Raises:
            AlteredError: it is not what was signed, or the key does not count.
            NotSignedError: somebody has to have signed it, and has not.
        """
        if version.tree is None:
            return
        name = f"version {version.version} of model {version.model!r}"
        carried = self._find_carried(version.tree)
        texts = [held.bundle for held in self._store.list_signatures(tx, version.tree)]
        texts += [] if carried is None else [carried]
        tree, signers = version.tree, self._store.list_signers(tx)
        found = checking.check_signatures(
            texts, signers, lambda algorithm: read_tree(self._objects, tree, version.model, algorithm), name
        )
        is_own = version.run_id is not None and not version.source
        if moment != "registration" or not is_own:
            checking.check_demand(found, self._demanded, name)
        if carried is not None:
            _, signer = checking.verify(carried, signers, name)
            self._keep(tx, tree, carried, signer)

    def _find_carried(self, tree: Digest) -> str | None:
        """The signature that lies in a directory; None where there is none, or its files are not kept here."""
        try:
            entry = self._objects.find_file(tree, FILE)
        except NotFoundError:
            return None
        return self._objects.get_bytes(entry.digest).decode(errors="replace")

    def _decide(
        self, tx: Transaction, tree: Digest, trusted: bool, reason: str, evidence: tuple[str, ...]
    ) -> TrustDecision:
        parse_digest(tree)
        if not check_text(reason, "reason", _LONGEST_REASON).strip():
            raise InvalidInputError(
                "a decision about the code of a model needs a reason", hint="say what it rests on", field="reason"
            )
        for text in evidence:
            Ref.parse(text)
        decision = TrustDecision(
            number=self._store.next_number(tx),
            tree=tree,
            trusted=trusted,
            at=tx.now,
            actor=tx.actor.name,
            reason=reason,
            evidence=evidence,
        )
        self._store.add_decision(tx, decision)
        action = "trust.trust" if trusted else "trust.distrust"
        tx.record(action, decision.ref, reason=reason, evidence=list(evidence))
        return decision

    def _find_signer(self, tx: Transaction, fingerprint: str) -> Signer | None:
        return next((held for held in self._store.list_signers(tx) if held.fingerprint == fingerprint), None)

    def _add_signer(self, tx: Transaction, name: str, key: PublicKey) -> Signer:
        signer = Signer(
            fingerprint=key.fingerprint, name=name, public_key=key.pem, added_at=tx.now, added_by=tx.actor.name
        )
        self._store.add_signer(tx, signer)
        tx.record("trust.add_signer", _signer_ref(signer), name=name)
        return signer

    def _keep(self, tx: Transaction, tree: Digest, signature: str, signer: Signer) -> ModelSignature:
        kept = ModelSignature(tree=tree, signer=signer.fingerprint, bundle=signature, at=tx.now, actor=tx.actor.name)
        self._store.put_signature(tx, kept)
        tx.record("trust.record_signature", tree_ref(tree), signer=signer.fingerprint, name=signer.name)
        return kept


def _signer_ref(signer: Signer) -> Ref:
    return Ref("model-signer", signer.fingerprint)
