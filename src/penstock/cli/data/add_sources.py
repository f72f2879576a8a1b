"""Sources of the project file become versions."""

from collections.abc import Sequence
from typing import Any

from penstock.cli.data.sections import chosen_sections
from penstock.cli.output import console
from penstock.cli.session import open_project, open_services
from penstock.datasets.ingest import add_version


def add_sources(datasets: Sequence[str], *, json: bool, url: str) -> list[dict[str, Any]]:
    """Take in sources as new versions, unless nothing changed or a blocking check keeps them out."""
    project = open_project()
    added = []
    with open_services(url) as services:
        for name, section in chosen_sections(project, datasets).items():
            before = services.datasets.find_latest(name)
            version = add_version(services.datasets, services.objects, name, section, project.root)
            is_new = before is None or before.version != version.version
            added.append({"dataset": name, "version": version.version, "rows": version.rows, "new": is_new})
            if not json:
                aside = sum(file.quarantined for file in version.files)
                told = ("added" if is_new else "unchanged") + (f"; {aside:,} rows were put aside" if aside else "")
                console.print(f"{name} version {version.version}: {version.rows:,} rows, {told}")
    return added
