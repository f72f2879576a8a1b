"""The one table of routes: every operation can be reached, decoded and audited, and none stands in another's way."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from starlette.routing import Match
from starlette.routing import Route as HttpRoute

from penstock.catalogue.services import ROUTES, Services
from penstock.core import codec
from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.storage.verbs import Verb, verb_of

TABLE = [(service, route) for service, routes in ROUTES.items() for route in routes]
CASES = [
    pytest.param(route, id=f"{service}.{verb_of(route).name}-{route.method}-{route.path}") for service, route in TABLE
]
# Facts that come in great numbers or only keep something going; what sums them up is audited instead.
FACTS = {
    "deliveries.deliver",  # the verbs that it joins write their own entries
    "artifacts.log_file",
    "inputs.log_inputs",
    "inputs.log_outputs",
    "logged_models.log_logged_model_params",
    "logged_models.set_logged_model_tags",
    "logged_models.take_over_logged_model_points",
    "pipelines.release_claim",
    "pipelines.renew_claim",
    "predictions.add_entity_outcomes",
    "predictions.add_outcomes",
    "serving.note_measures",
    "serving.report_gateway",
    "traces.link_traces",
    "traces.set_trace_tags",
}


def path_as_sent(route: Route) -> str:
    """A path that a client might ask for, with a value for each parameter."""
    return re.sub(r"\{(\w+):path\}", "a/b", re.sub(r"\{(\w+)\}", "x1", route.path))


def test_every_service_has_its_routes() -> None:
    nouns = [name for name in Services.__dataclass_fields__ if name not in ("objects", "place", "close")]
    assert list(ROUTES) == nouns
    assert all(ROUTES.values())


def test_a_method_and_path_lead_to_one_verb_only() -> None:
    forms = [(route.method, re.sub(r"\{\w+(:path)?\}", r"{\1}", route.path)) for _, route in TABLE]
    assert sorted(form for form in set(forms) if forms.count(form) > 1) == []


def test_a_verb_has_one_route_only() -> None:
    names = [(service, verb_of(route).name) for service, route in TABLE]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


@pytest.mark.parametrize("route", CASES)
def test_no_earlier_route_catches_what_is_meant_for_a_later_one(route: Route) -> None:
    scope = {"type": "http", "method": route.method, "path": path_as_sent(route), "root_path": ""}
    for _, earlier in TABLE:
        found, _ = HttpRoute(earlier.path, lambda request: request, methods=[earlier.method]).matches(scope)
        if found == Match.FULL:
            assert earlier is route, f"{earlier.method} {earlier.path} catches {path_as_sent(route)}"
            return


@pytest.mark.parametrize("route", CASES)
def test_the_path_names_arguments_of_the_verb(route: Route) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(verb_of(route).arguments)}
    assert set(route.path_parameters) <= set(fields)
    if route.method == "GET":
        assert verb_of(route).is_read
        for name in set(fields) - set(route.path_parameters):
            assert can_be_text(fields[name].type), f"{name}: {fields[name].type} fits into no query"


def can_be_text(kind: Any) -> bool:
    """Whether an argument can be sent as a query parameter."""
    return isinstance(msgspec.json.schema(kind).get("type", "any of"), str) and "object" not in str(
        msgspec.json.schema(kind)
    )


@pytest.mark.parametrize("route", CASES)
def test_what_a_verb_takes_and_gives_can_be_sent(route: Route) -> None:
    verb = verb_of(route)
    msgspec.json.Decoder(verb.arguments)
    msgspec.json.Decoder(verb.returns)
    for kind in (verb.arguments, verb.returns):
        for struct in structs_in(kind):
            assert struct.__struct_config__.frozen or struct is verb.arguments
            defaults = [field for field in msgspec.structs.fields(struct) if not field.required]
            for field in defaults:
                value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
                codec.convert(codec.decode(codec.encode(value), object), field.type)  # type: ignore[arg-type]


def structs_in(kind: Any, seen: set[Any] | None = None) -> Iterator[Any]:
    """Every record that a type is made of."""
    seen = set() if seen is None else seen
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs_in(field.type, seen)
    for part in getattr(kind, "__args__", ()):
        yield from structs_in(part, seen)


@pytest.mark.parametrize("route", CASES)
def test_a_request_with_an_unknown_argument_is_refused(route: Route) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"unknown field|missing required|requires"):
        msgspec.convert({"no_such_argument": 1}, verb_of(route).arguments)


@pytest.mark.parametrize("route", CASES)
def test_every_operation_says_what_it_does_and_who_may(route: Route) -> None:
    verb: Verb[Any, Any] = verb_of(route)
    assert verb.doc.strip().endswith((".", ":", ")")) or "\n" in verb.doc
    assert route.needs >= (Role.READER if verb.is_read else Role.CONTRIBUTOR)


def test_every_change_is_audited_unless_it_is_a_known_kind_of_fact() -> None:
    changes = {f"{service}.{verb_of(route).name}": verb_of(route) for service, route in TABLE}
    silent = {name for name, verb in changes.items() if not verb.is_read and not verb.audited}
    assert {name for name in silent if not records(changes[name])} == FACTS


def records(verb: Verb[Any, Any]) -> bool:
    """Whether a verb writes its audit entry itself, or joins a verb that does, as its source shows."""
    texts = [inspect.getsource(verb.fn)]
    owner = inspect.getmodule(verb.fn)
    helpers = dict(inspect.getmembers(getattr(owner, verb.fn.__qualname__.split(".")[0]), inspect.isfunction))
    for name in re.findall(r"self\.(\w+)\(", texts[0]):
        texts.append(inspect.getsource(helpers[name]) if name in helpers else "")
    return any(re.search(r"\.record\(|\w+\.join\(\s*tx", text) for text in texts)
