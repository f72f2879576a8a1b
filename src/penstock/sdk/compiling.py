"""Compiles a registered version to its fast form, as a new version: what a version is never changes."""

import tempfile
from pathlib import Path

import polars as pl

from penstock.catalogue.services import Services
from penstock.core.errors import ConflictError
from penstock.registry.format.compiling import compile_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.types import ModelVersion

COMPILED_FROM = "compiled_from"  # the tag that names the version it was made of


def compile_version(
    services: Services, version: ModelVersion, sample: pl.DataFrame | None = None
) -> tuple[ModelInfo, ModelVersion | None]:
    """Compile a version, here and not on the server, and register what comes of it under the same model.

    Args:
        services: where the registry is.
        version: the version; its run, report and reference go to the new one.
        sample: real rows; None for those the version was tested on.

    Returns:
        What is known of the model, and the new version; None where it has no fast form, or has the same already.

    Raises:
        NeedsItsOwnProcessError: it can only be loaded by running code that stands in it.
        ConflictError: its files are not kept here.
    """
    tree = version.get_tree()
    if sample is None and version.reference is not None:
        sample = pl.read_parquet(services.objects.get_bytes(version.reference))
    with tempfile.TemporaryDirectory(prefix="penstock-") as place:
        source, target = Path(place) / "source", Path(place) / "compiled"
        services.objects.checkout(tree, source)
        info = compile_model(source, target, sample)
        if info.fast_form is None or not info.fast_form.used:
            return info, None
        compiled = services.objects.put_tree(target)
        if compiled == tree:
            raise ConflictError(f"{version.uri} has this fast form already: {info.fast_form.describe()}")
        made = services.registry.register(
            version.model,
            version.run_id,
            compiled,
            info,
            version.reference,
            version.report_id,
            {COMPILED_FROM: str(version.version)},
        )
    return info, made
