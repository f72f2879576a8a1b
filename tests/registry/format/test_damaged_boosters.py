"""Damaged files of LightGBM and XGBoost: their readers would run in circles or out of memory; they never see them."""

import random
import re
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from penstock.core.errors import CorruptDataError
from penstock.registry.format.flavors.lightgbm_text import check_text
from penstock.registry.format.flavors.xgboost_json import check_model
from registry.format.rows import AMOUNT, BINARY, CLASSES, NUMBERS, WHOLE

X = NUMBERS.to_numpy()
CODES = np.unique(CLASSES, return_inverse=True)[1]
NUMBER = re.compile(r"(?<![\w.\-+\[])-?\d+(?![\w.])")


def _light(**settings: Any) -> str:
    values = WHOLE.to_numpy().copy()
    values[:, 2] = np.arange(len(values)) % 6
    data = lightgbm.Dataset(values, settings.pop("target", BINARY), categorical_feature=settings.pop("codes", []))
    params = {"verbose": -1, "num_threads": 1, "num_leaves": 7, **settings}
    return str(lightgbm.train(params, data, 3).model_to_string())


LIGHT = {
    "binary": _light(objective="binary"),
    "classes": _light(objective="multiclass", num_class=3, target=CODES),
    "codes": _light(
        objective="regression",
        target=np.arange(len(AMOUNT)) % 6 % 2 * 9.0,
        codes=[2],
        min_data_per_group=5,
        max_cat_to_onehot=1,
    ),
    "linear": _light(objective="regression", target=AMOUNT, linear_tree=True),
    "dart": _light(objective="binary", boosting="dart"),
    "one leaf": _light(objective="regression", target=AMOUNT, min_data_in_leaf=1000),
}


def _extreme(form: str, target: Any, **settings: Any) -> bytes:
    data = xgboost.DMatrix(X, target)
    return bytes(xgboost.train({"nthread": 1, "max_depth": 3, **settings}, data, 3).save_raw(form))


EXTREME = {
    f"{name} {form}": _extreme(form, target, **settings)
    for form in ("json", "ubj")
    for name, target, settings in [
        ("binary", BINARY, {"objective": "binary:logistic"}),
        ("classes", CODES, {"objective": "multi:softprob", "num_class": 3}),
        ("linear", AMOUNT, {"booster": "gblinear"}),
        ("dart", AMOUNT, {"booster": "dart", "rate_drop": 0.5}),
        ("forest", AMOUNT, {"num_parallel_tree": 2}),
    ]
}


@pytest.mark.parametrize("name", LIGHT)
def test_whole_models_of_lightgbm_pass(name: str) -> None:
    check_text(LIGHT[name])


@pytest.mark.parametrize("name", EXTREME)
def test_whole_models_of_xgboost_pass(name: str) -> None:
    check_model(EXTREME[name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"^left_child=\d+", "left_child=0"),  # a circle: LightGBM never comes back from it
        (r"^left_child=\S+", "left_child=99999"),
        (r"^right_child=\S+", "right_child=-400"),
        (r"^split_feature=\d+", "split_feature=2147483647"),
        (r"^num_leaves=\d+", "num_leaves=1000000"),
        (r"^num_leaves=\d+", "num_leaves=0"),
        (r"^max_feature_idx=\d+", "max_feature_idx=0"),
        (r"^num_class=\d+", "num_class=9"),
        (r"^num_tree_per_iteration=\d+", "num_tree_per_iteration=5"),
        (r"^tree_sizes=\d+", "tree_sizes=7"),
        (r"^Tree=1$", "Tree=5"),
        (r"^threshold=\S+", "threshold="),
        (r"^end of trees", ""),
    ],
)
def test_a_lightgbm_model_that_points_nowhere_is_refused(old: str, new: str) -> None:
    text = re.sub(old, new, LIGHT["binary"], count=1, flags=re.MULTILINE)
    assert text != LIGHT["binary"]
    with pytest.raises(CorruptDataError, match="damaged"):
        check_text(text)


def test_sets_of_categories_stay_within_their_bounds() -> None:
    assert re.search(r"^num_cat=[1-9]", LIGHT["codes"], flags=re.MULTILINE)
    for name in ("cat_boundaries", "cat_threshold"):
        text = re.sub(rf"^{name}=.*$", f"{name}=0", LIGHT["codes"], count=1, flags=re.MULTILINE)
        with pytest.raises(CorruptDataError):
            check_text(text)


def _change_number(text: str, chance: random.Random) -> str:
    found = chance.choice(list(NUMBER.finditer(text)))
    new = chance.choice(["99999", "-7", "-1", "0", "2147483647", "1000000"])
    return text[: found.start()] + new + text[found.end() :]


@pytest.mark.parametrize("name", LIGHT)
def test_a_damaged_lightgbm_model_is_refused_or_answers(name: str) -> None:
    chance = random.Random(name)
    trees = LIGHT[name].index("end of trees")
    for _ in range(25):
        text = _change_number(LIGHT[name][:trees], chance) + LIGHT[name][trees:]
        _try(
            lambda text=text: check_text(text),
            lambda text=text: lightgbm.Booster(model_str=text).predict(X[:5], num_threads=1),
        )


@pytest.mark.parametrize("name", EXTREME)
def test_a_damaged_xgboost_model_is_refused_or_answers(name: str) -> None:
    chance = random.Random(name)
    for _ in range(25):
        content = bytearray(EXTREME[name])
        if name.endswith("json"):
            content = bytearray(_change_number(content.decode(), chance).encode())
        else:
            content[chance.randrange(len(content))] = chance.randrange(256)
        _try(
            lambda c=content: check_model(bytes(c)),
            lambda c=content: xgboost.Booster(model_file=c).inplace_predict(X[:5]),
        )


def _try(check: Any, use: Any) -> None:
    """What passes the check can be used, or is refused by its library; this process is still here to tell."""
    try:
        check()
    except CorruptDataError:
        return
    try:
        use()
    except (lightgbm.basic.LightGBMError, xgboost.core.XGBoostError, ValueError, TypeError):
        return


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"binf", b"{L" + b"\x7f" * 8, b'{"learner": 3}', b"{" * 9999]
)
def test_what_is_no_xgboost_model_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptDataError):
        check_model(content)
