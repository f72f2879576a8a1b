"""Finds the flavor of a model; the library behind it is loaded only then."""

from importlib import import_module

from penstock.core.errors import InvalidInputError
from penstock.registry.format.port import Flavor
from penstock.registry.format.ranking import RankingModel

_FLAVORS = {
    "sklearn": "penstock.registry.format.flavors.sklearn",
    "penstock_ranking": "penstock.registry.format.flavors.ranking",
    "pickle": "penstock.registry.format.flavors.pickled",
}


def open_flavor(name: str) -> Flavor:
    """The flavor of that name.

    Raises:
        InvalidInputError: there is none; the model was written by something else, or a newer penstock.
    """
    module = _FLAVORS.get(name)
    if module is None:
        raise InvalidInputError(f"models of flavor {name!r} cannot be read", hint=f"known are {', '.join(_FLAVORS)}")
    flavor: Flavor = import_module(module).FLAVOR
    return flavor


def find_flavor(model: object) -> Flavor:
    """The flavor that can save this object.

    Raises:
        InvalidInputError: no flavor can.
    """
    if isinstance(model, RankingModel):
        return open_flavor("penstock_ranking")
    if hasattr(model, "get_params") and hasattr(model, "predict"):
        return open_flavor("sklearn")
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise InvalidInputError(
        f"a model of type {kind} cannot be saved", hint="return a scikit-learn estimator or a RankingModel"
    )
