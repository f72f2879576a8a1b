"""What the monitor asks about models: a port, as some are served here and some elsewhere."""

from typing import Protocol

from penstock.registry.types import ModelVersion
from penstock.serving.types import Deployment, Revision


class ModelVersions(Protocol):
    """Where the versions of models are known."""

    def get_version(self, model: str, version: int) -> ModelVersion:
        """What is known of a version; its signature, classes and reference are what is looked at.

        Raises:
            NotFoundError: there is none.
        """
        ...


class Revisions(Protocol):
    """Where it is known which version answers."""

    def list_revisions(self, deployment: str) -> list[Revision]:
        """All that ever answered, by the numbers that the log gives them."""
        ...

    def find_deployment(self, deployment: str) -> Deployment | None:
        """What answers now; None where nothing ever did."""
        ...
