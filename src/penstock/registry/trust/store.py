"""The SQL of trust: one query per method, no rules."""

from typing import Any

from sqlalchemy import delete, func, insert, select

from penstock.core.ids import Digest
from penstock.registry.trust.tables import model_signatures, model_signers, trust_decisions
from penstock.registry.trust.types import ModelSignature, Signer, TrustDecision
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class TrustStore:
    """Reads and writes the tables of trust."""

    def __init__(self, db: Database) -> None:
        self._put_signature = db.upsert(model_signatures, keys=("tree", "signer"), update=("bundle", "at", "actor"))

    def next_number(self, tx: Transaction) -> int:
        """The number of the next decision."""
        return int(tx.execute(select(func.coalesce(func.max(trust_decisions.c.number), 0))).scalar_one()) + 1

    def add_decision(self, tx: Transaction, decision: TrustDecision) -> None:
        """Insert a decision."""
        tx.execute(insert(trust_decisions).values(to_row(decision)))

    def list_decisions(self, tx: Transaction, tree: Digest | None, limit: int) -> list[TrustDecision]:
        """Decisions, newest first; of one directory, or of all."""
        query = select(trust_decisions).order_by(trust_decisions.c.number.desc()).limit(limit)
        if tree is not None:
            query = query.where(trust_decisions.c.tree == tree)
        return [from_row(TrustDecision, row) for row in tx.execute(query)]

    def add_signer(self, tx: Transaction, signer: Signer) -> None:
        """Insert a key."""
        tx.execute(insert(model_signers).values(to_row(signer)))

    def remove_signer(self, tx: Transaction, fingerprint: str) -> None:
        """Delete a key."""
        tx.execute(delete(model_signers).where(model_signers.c.fingerprint == fingerprint))

    def list_signers(self, tx: Transaction) -> list[Signer]:
        """All keys, by name."""
        query = select(model_signers).order_by(model_signers.c.name, model_signers.c.fingerprint)
        return [from_row(Signer, row) for row in tx.execute(query)]

    def put_signature(self, tx: Transaction, signature: ModelSignature) -> None:
        """Keep a signature; one of the same key takes the place of the one before."""
        row: dict[str, Any] = to_row(signature)
        tx.execute(self._put_signature, [row])

    def list_signatures(self, tx: Transaction, tree: Digest) -> list[ModelSignature]:
        """The signatures of a directory, newest first."""
        held = model_signatures.c
        query = select(model_signatures).where(held.tree == tree).order_by(held.at.desc(), held.signer)
        return [from_row(ModelSignature, row) for row in tx.execute(query)]
