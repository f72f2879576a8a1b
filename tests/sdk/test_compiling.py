"""A registered version gets a fast form as a new version, and stays what it is."""

import contextlib
from pathlib import Path

import polars as pl
import pytest
import yaml
from msgspec import structs
from sklearn.linear_model import LogisticRegression

from penstock.core.errors import ConflictError
from penstock.registry.format.saving import save_model
from penstock.registry.loading import open_model
from penstock.sdk.compiling import COMPILED_FROM, compile_version
from penstock.sdk.connect import connect
from vetting import unvetted

SAMPLE = pl.DataFrame({"x": [float(place) for place in range(40)], "y": [place % 7 for place in range(40)]})


def test_a_version_is_compiled_into_a_new_one(tmp_path: Path) -> None:
    model = LogisticRegression().fit(SAMPLE, SAMPLE["x"] > 20)
    info = save_model(model, tmp_path / "model", task="binary", sample=SAMPLE)
    described = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    described["flavors"]["penstock"]["fast_form"] = None  # as one that was saved where the extra was missing
    (tmp_path / "model" / "MLmodel").write_text(yaml.safe_dump(described))
    (tmp_path / "model" / "penstock" / "fast.onnx").unlink()
    with contextlib.closing(connect(tmp_path)) as services:
        info = structs.replace(info, fast_form=None)
        first = services.registry.register("churn", None, services.objects.put_tree(tmp_path / "model"), info)
        assert first.describe_form() == "as it is: it waits for a server to compile it"
        _, second = compile_version(services, first, SAMPLE)
        assert second is not None and (second.version, second.tags) == (2, {COMPILED_FROM: "1"})
        assert second.describe_form().startswith("ONNX: 40 rows, greatest difference ")
        assert open_model(services.objects, second, tmp_path / "cache", unvetted(tmp_path)).is_fast
        assert not open_model(services.objects, first, tmp_path / "cache", unvetted(tmp_path)).is_fast
        with pytest.raises(ConflictError, match="has this fast form already"):
            compile_version(services, second, SAMPLE)
