"""Run by penstock's own Python: `make_model.py FOLDER` writes a model directory, and prints what it answers as JSON."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from penstock.registry.format.loaded import load_model
from penstock.registry.format.saving import save_model

ROWS = [[20.0, 1.5], [70.0, 2.5], [41.0, 3.25]]

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
frame = pl.DataFrame({"age": rng.uniform(18, 80, 400), "visits": rng.uniform(0, 9, 400)})
model = LogisticRegression().fit(frame, (frame["age"] > 40).cast(int).to_numpy())
save_model(model, folder, task="binary", sample=frame)
answers = load_model(folder).predict(pl.DataFrame(ROWS, schema=["age", "visits"], orient="row"))
print(json.dumps({"rows": ROWS, **answers.to_dict(as_series=False)}))
