"""The verbs about fast forms: which versions wait for one, what came of it, and what runs in place of a directory."""

from collections.abc import Collection

from msgspec import structs

from penstock.core.ids import Digest
from penstock.registry.format.types import FastForm
from penstock.registry.types import ModelVersion
from penstock.registry.version_verbs import VersionVerbs
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads


class FastFormVerbs(VersionVerbs):
    """What a version is never changes; its fast form lies in a copy of its directory."""

    @reads
    def find_uncompiled(self, tx: Transaction) -> ModelVersion | None:
        """The oldest version that is here and that nobody has tried to compile."""
        return self._versions.find_uncompiled(tx)

    @logs
    def set_fast_form(
        self, tx: Transaction, version: ModelVersion, form: FastForm, tree: Digest | None
    ) -> ModelVersion | None:
        """Say what came of compiling a version; None where somebody was faster, or its files are others now.

        Args:
            version: as it was when that began.
            form: what came of it.
            tree: a copy of the model directory with the fast form; None where there is none.

        Raises:
            ConflictError: the copy cannot be vouched for.
        """
        known = self._versions.find(tx, version.key, version.version)
        if known is None or known.tree != version.tree or known.fast_form is not None:
            return None
        if tree is not None:
            for check in self._checks:
                check(tx, structs.replace(known, tree=tree), "compiling")
            keep_objects(tx, known.ref, [tree])
        tx.record("registry.compile", known.ref, form=form.describe(), tree=tree)
        return self._change_version(tx, known, fast_form=form, fast_tree=tree)

    @reads
    def find_fast_trees(self, tx: Transaction, trees: Collection[Digest]) -> dict[Digest, Digest]:
        """The copies with a fast form of those model directories that have one."""
        return self._versions.find_fast_trees(tx, trees)
