"""penstock: the whole life of a model as one loop - data, training, checks, release, watching, retraining.

Write a project with `step`, `pipeline`, `Data` and `Candidate`; track a run with `start_run`; reach everything else
through `connect`. Names are imported when they are first used, so that `import penstock` is quick.
"""

import importlib
from typing import Any

_HOMES = {
    "Candidate": "penstock.pipelines.graph",
    "Champion": "penstock.pipelines.graph",
    "ConflictError": "penstock.core.errors",
    "CorruptDataError": "penstock.core.errors",
    "Data": "penstock.pipelines.graph",
    "FunctionModel": "penstock.registry.format.function_model",
    "InvalidInputError": "penstock.core.errors",
    "NotFoundError": "penstock.core.errors",
    "PenstockError": "penstock.core.errors",
    "PermissionDeniedError": "penstock.core.errors",
    "RankingModel": "penstock.registry.format.ranking",
    "Services": "penstock.catalogue.services",
    "Split": "penstock.datasets.splits.types",
    "SplitLeakError": "penstock.datasets.splits.types",
    "SplitRecipe": "penstock.datasets.splits.types",
    "StorageFullError": "penstock.core.errors",
    "UnavailableError": "penstock.core.errors",
    "connect": "penstock.sdk.connect",
    "dataset": "penstock.sdk.dataset",
    "load_dataset": "penstock.sdk.load",
    "load_model": "penstock.sdk.load",
    "load_split": "penstock.sdk.load",
    "pipeline": "penstock.pipelines.pipeline",
    "split_dataset": "penstock.sdk.load",
    "start_run": "penstock.sdk.start",
    "step": "penstock.pipelines.step",
}

_MODULES = {"drift": "penstock.sdk.drift", "monitor": "penstock.sdk.monitor"}

__all__ = sorted(_HOMES | _MODULES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
