"""Watches deployments that are served elsewhere, in a server; costs nothing where there is none."""

import importlib
from typing import Any

from penstock.catalogue.services import Services


class Watcher:
    """Looks whether there are any, and only then loads what watches them. For one thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._watch: Any = None

    def tick(self) -> bool:
        """Work off what came in; returns whether anything changed."""
        if self._watch is None and not self._services.external.list_deployments():
            return False
        if self._watch is None:  # it brings polars, which a server without such deployments starts faster without
            watch = importlib.import_module("penstock.monitoring.external.watch")
            self._watch = watch.ExternalWatch(self._services)
        return bool(self._watch.tick())
