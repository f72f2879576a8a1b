"""How models are opened in tests about something else: nobody vouches for any, and none carries a signature."""

from pathlib import Path

from penstock.registry.loading import Vetting
from penstock.registry.runner.process import RunnerSettings
from penstock.registry.trust.types import Standing


def unvetted(folder: Path) -> Vetting:
    """Runners and environments in a folder."""
    settings = RunnerSettings(folder=folder / "runners", environments=folder / "environments")
    return Vetting(find_standing=lambda tree: Standing(tree=tree), settings=settings)
