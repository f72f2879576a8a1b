"""The process in which one version is compiled; it ends with it."""

import os
import sys
from pathlib import Path

import polars as pl

from penstock.core import codec
from penstock.core.errors import PenstockError
from penstock.registry.format.compiling import compile_model
from penstock.registry.format.types import FastForm

NICENESS = 10  # answers go before


def main() -> None:
    """Compile the directory in the first argument into the second; the third gets what came of it, as a `FastForm`.

    A fourth argument names real rows as Parquet.
    """
    os.nice(NICENESS)
    source, target, report = map(Path, sys.argv[1:4])
    sample = pl.read_parquet(sys.argv[4]) if len(sys.argv) > 4 else None
    report.write_bytes(codec.encode(_compile(source, target, sample)))


def _compile(source: Path, target: Path, sample: pl.DataFrame | None) -> FastForm:
    try:
        info = compile_model(source, target, sample)
    except PenstockError as error:
        return FastForm(used=False, reason=error.message)
    return info.fast_form or FastForm(used=False, reason="nothing compiles it")


if __name__ == "__main__":
    main()
