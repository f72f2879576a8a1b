"""How a revision takes over the traffic, by strategy: the shares it gets in turn, and what it needs to go on."""

from typing import Any, get_args

from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Decide, DeploySection, Strategy
from penstock.registry.types import ModelVersion

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
CANARY_STEPS = (0.05, 0.25, 1.0)
HALF = 0.5
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "category": (str,),
    "long": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "string[]": (list, tuple),
    "double[]": (list, tuple),
}


class Plan(Struct, frozen=True):
    """The shares of traffic of a rollout, and when it goes on."""

    steps: tuple[float, ...]
    decide: Decide


def plan_rollout(
    strategy: Strategy, steps: tuple[float, ...] | None, share: float | None, decide: Decide | None, key: str | None
) -> Plan:
    """What a strategy comes to.

    `direct` takes all traffic at once. `canary` takes rising shares. `shadow` gets copies first, at a share of 0, and
    then all traffic, or the shares of a canary where `steps` name some. `ab` has one share until the judge ends it.

    Args:
        strategy: which.
        steps: rising shares that end with 1; None for those of the strategy.
        share: of the traffic, for `ab`; None for a half.
        decide: None for that of the strategy.
        key: what keeps a customer on one revision; `ab` needs it.

    Raises:
        InvalidInputError: they do not go together; `field` says which.
    """
    if strategy not in STRATEGIES:
        raise InvalidInputError(
            f"there is no strategy {strategy!r}",
            hint=nearest_hint(strategy, STRATEGIES),
            field="strategy",
        )
    if decide not in (None, *get_args(Decide)):
        raise InvalidInputError(
            f"{decide!r} is no way to decide", hint=f"use one of {', '.join(get_args(Decide))}", field="decide"
        )
    if steps is not None:
        _check_steps(steps)
    if strategy == "direct":
        return Plan((1.0,), decide or "no_harm")
    if strategy == "canary":
        return Plan(steps or CANARY_STEPS, decide or "no_harm")
    if strategy == "shadow":
        return Plan((0.0, *(steps or ())), decide or "evidence")
    half = HALF if share is None else share
    if not 0 < half < 1:
        raise InvalidInputError(
            f"an A/B test cannot give {half:g} of the traffic to one side", hint="give a share as 0.5", field="share"
        )
    if key is None:
        raise InvalidInputError(
            "an A/B test needs a key, so that a customer stays on one side",
            hint="name the input column that says who asks, as deploy.key",
            field="key",
        )
    return Plan((half,), decide or "evidence")


def read_terms(deploy: DeploySection) -> dict[str, Any]:
    """What `ServingService.deploy` has to know of `[deploy]`, but the strategy."""
    return {
        "steps": deploy.steps,
        "share": deploy.share,
        "guard": deploy.guard,
        "margins": deploy.margins,
        "decide": deploy.decide,
        "min_requests": deploy.min_requests,
        "key": deploy.key,
        "default": deploy.default,
        "rules": deploy.rules,
    }


def check_default(default: dict[str, Any], version: ModelVersion) -> None:
    """See that an answer looks like one of this model.

    Raises:
        InvalidInputError: a column is missing, not known, or of another type.
    """
    outputs = {column.name: column.type for column in version.signature.outputs}
    if not default or not outputs:
        return
    for name in default:
        if name not in outputs:
            raise InvalidInputError(
                f"default.{name}: version {version.version} of {version.model!r} gives no such column",
                hint=nearest_hint(name, outputs),
                field=f"default.{name}",
            )
    for name, kind in outputs.items():
        if name not in default:
            raise InvalidInputError(
                f"default.{name}: version {version.version} of {version.model!r} gives this column, and the default "
                "answer has to",
                hint=f"its type is {kind}",
                field=f"default.{name}",
            )
        allowed = _KINDS.get(kind, (object,))
        if not isinstance(default[name], allowed) or (isinstance(default[name], bool) and bool not in allowed):
            raise InvalidInputError(
                f"default.{name}: {default[name]!r} is no value of type {kind}", field=f"default.{name}"
            )


def _check_steps(steps: tuple[float, ...]) -> None:
    rising = all(before < after for before, after in zip((0.0, *steps), steps, strict=False))
    if not steps or not rising or steps[-1] > 1:
        raise InvalidInputError(
            f"{list(steps)} are no steps of a rollout", hint="give rising shares, as in 0.05, 0.25, 1.0", field="steps"
        )
