"""What is watched: deployments that are served here, and those that are served elsewhere."""

from msgspec import Struct

from penstock.core.ids import Ref
from penstock.core.project.types import Project
from penstock.monitoring.external.types import ExternalDeployment
from penstock.server.web.context import PageContext


class Watched(Struct, frozen=True, kw_only=True):
    """A deployment that is watched."""

    name: str
    project: Project | None  # whose bars and budgets are its own; None: that project is another server's
    is_external: bool = False  # it is served elsewhere

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("deployment", self.name)


def get_watched(context: PageContext, name: str) -> Watched:
    """A deployment by its name.

    Raises:
        NotFoundError: there is none, here or elsewhere.
    """
    external = find_external(context, name)
    if external is not None:
        return Watched(name=name, project=external.to_project(), is_external=True)
    context.services.serving.get_deployment(name)
    project = context.project
    return Watched(name=name, project=project if project is not None and project.name == name else None)


def find_external(context: PageContext, name: str) -> ExternalDeployment | None:
    """A deployment that is served elsewhere."""
    return next((held for held in context.services.external.list_deployments() if held.name == name), None)
