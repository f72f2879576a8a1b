"""Registers a model as penstock's own training does, and prints the sizes of its files.

A program of its own, run in penstock's environment: `own_model.py URL NAME`.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from penstock.registry.format.saving import save_model
from penstock.sdk.connect import connect

if __name__ == "__main__":
    values = np.random.default_rng(1).normal(size=(200, 2))
    sample = pl.DataFrame(values, schema=["a", "b"])
    model = LogisticRegression().fit(sample, (values[:, 0] > 0).astype(int))
    services = connect(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        info = save_model(model, folder, task="binary", sample=sample)
        services.registry.register(sys.argv[2], None, services.objects.put_tree(folder), info)
        services.registry.move_alias(sys.argv[2], "champion", 1, reason="first")
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    services.close()
    print(json.dumps(sizes))
