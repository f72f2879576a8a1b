"""Which models are compiled without being asked: those that execute nothing, with the packages that are here."""

from pathlib import Path

from penstock.registry.format.types import ModelInfo
from penstock.registry.runner.placement import choose_place


def find_obstacle(folder: Path, info: ModelInfo) -> str:
    """Why a model is not compiled here; empty where it is tried."""
    place = choose_place(folder, info)
    if place.executes:
        return f"its format ({info.flavor}) executes code, and such a model is not compiled here"
    return "" if place.requirements is None else place.reason
