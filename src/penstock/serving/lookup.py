"""What is served: deployments, revisions and rollouts as they stand, and where requests go by them."""

from collections.abc import Iterator

from penstock.core.ids import RolloutId
from penstock.registry.lookup import VersionUse
from penstock.registry.service import RegistryService
from penstock.serving.store import ServingStore
from penstock.serving.types import Deployment, DeploymentRoute, Revision, RevisionRoute, Rollout, Routing
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import reads


class ServingLookup:
    """Reads only."""

    noun = "serving"

    def __init__(self, db: Database, registry: RegistryService) -> None:
        self.db = db
        self._registry = registry
        self._store = ServingStore()
        registry.protect(self._find_uses)

    @reads
    def routing(self, tx: Transaction) -> Routing:
        """Where requests go now; gateways ask for this again and again."""
        serving = [held for held in self._store.list_deployments(tx) if held.stable is not None]
        previous = {held.name: self._find_previous(tx, held.stable) for held in serving}
        named = [item for held in serving for item in (held.stable, held.candidate, previous[held.name]) if item]
        fast = self._registry.find_fast_trees.join(tx, {revision.tree for revision in named})

        def route(revision: Revision | None) -> RevisionRoute | None:
            if revision is None:
                return None
            tree = revision.tree
            return RevisionRoute(revision.number, revision.model, revision.version, tree, fast.get(tree))

        routes = [
            DeploymentRoute(
                deployment=held.name,
                key=held.key,
                stable=stable,
                candidate=route(held.candidate) if held.share else None,
                share=held.share,
                shadow=None if held.share else route(held.candidate),
                default=held.default,
                rules=held.rules,
                previous=route(previous[held.name]),
            )
            for held in serving
            if (stable := route(held.stable)) is not None
        ]
        return Routing(self._store.routing_number(tx), tuple(routes))

    @reads
    def get_deployment(self, tx: Transaction, deployment: str) -> Deployment:
        """One deployment."""
        return self._store.get_deployment(tx, deployment)

    @reads
    def find_deployment(self, tx: Transaction, deployment: str) -> Deployment | None:
        """One deployment; None when there is none of this name."""
        return self._store.find_deployment(tx, deployment)

    @reads
    def list_deployments(self, tx: Transaction) -> list[Deployment]:
        """All deployments by name."""
        return self._store.list_deployments(tx)

    @reads
    def list_revisions(self, tx: Transaction, deployment: str) -> list[Revision]:
        """The revisions of a deployment, newest first."""
        self._store.get_deployment(tx, deployment)
        return self._store.list_revisions(tx, deployment)

    @reads
    def get_rollout(self, tx: Transaction, rollout_id: RolloutId) -> Rollout:
        """One rollout with all its steps."""
        return self._store.get_rollout(tx, rollout_id)

    @reads
    def list_rollouts(self, tx: Transaction, deployment: str | None = None, limit: int = 100) -> list[Rollout]:
        """Rollouts, newest first; of all deployments when none is named."""
        return self._store.list_rollouts(tx, deployment, min(max(limit, 1), 1000))

    def _find_uses(self, tx: Transaction) -> Iterator[VersionUse]:
        """The versions that take traffic, or would after a rollback."""
        for held in self._store.list_deployments(tx):
            for revision in (held.stable, held.candidate, self._find_previous(tx, held.stable)):
                if revision is not None:
                    yield VersionUse(held.ref, revision.model, revision.version)

    def _find_previous(self, tx: Transaction, stable: Revision | None) -> Revision | None:
        """The last good revision before this one: those that were rolled back themselves are passed over."""
        at = stable
        while at is not None and at.replaced is not None:
            at = self._store.get_revision(tx, at.deployment, at.replaced)
            if at.state == "replaced":
                return at
        return None
