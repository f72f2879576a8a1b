"""Well-formed requests for every route, made from the route table, and the places in them that can be attacked."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from hostile.world import World
from penstock.catalogue.services import ROUTES
from penstock.core.routes import Route
from penstock.storage.verbs import verb_of

ALL = [route for table in ROUTES.values() for route in table]
Place = tuple[str | int, ...]
_DEEPEST = 4


def name_of(route: Route) -> str:
    """What a test calls a route."""
    return f"{route.method} {route.path}"


def path_values(route: Route, world: World) -> dict[str, str]:
    """A value for each parameter of the path that leads to something."""
    names = world.names
    if route.path.startswith("/pipeline-runs/"):
        names = names | {"run_id": names["pipeline_run"]}
    return {name: names[name] for name in route.path_parameters}


def path_of(route: Route, values: dict[str, str]) -> str:
    """The path with these values in it, as they stand."""
    path = route.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return "/api/v1" + path


def body_fields(route: Route) -> list[msgspec.structs.FieldInfo]:
    """What the verb takes beside the path: the body's fields, or the query's."""
    fields = msgspec.structs.fields(verb_of(route).arguments)
    return [field for field in fields if field.name not in route.path_parameters]


def body_of(route: Route, world: World) -> dict[str, Any]:
    """A body that fits the types, with things that are there where the names say so."""
    return {field.name: example(inspect.type_info(field.type), field.name, world, 0) for field in body_fields(route)}


def readers_beside(route: Route, world: World) -> tuple[str, ...]:
    """The paths that read what the service of a route keeps, and the audit events."""
    table = next(table for table in ROUTES.values() if route in table)
    readers = [reader for reader in table if reader.method == "GET" and _needs_no_query(reader)]
    return (*(path_of(reader, path_values(reader, world)) for reader in readers), "/api/v1/audit/events")


def _needs_no_query(route: Route) -> bool:
    return not any(field.required for field in body_fields(route))


def places(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every place in a body with what stands there; objects and lists come before what they hold."""
    if at:
        yield at, value
    if len(at) >= _DEEPEST:
        return
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*at, key))


def put(value: Any, at: Place, new: Any) -> Any:
    """The same body with something else in one place."""
    if not at:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[at[0]] = put(copy[at[0]], at[1:], new)  # type: ignore[index]
    return copy


def example(kind: inspect.Type, name: str, world: World, depth: int) -> Any:
    """A value of a type; a text is what the world has under the name of its field."""
    match kind:
        case inspect.Metadata():
            return example(kind.type, name, world, depth)
        case inspect.UnionType():
            first = next(item for item in kind.types if not isinstance(item, inspect.NoneType))
            return example(first, name, world, depth)
        case inspect.StructType():
            fields = [field for field in kind.fields if depth < 3 or field.required]
            held = {item.encode_name: example(item.type, item.encode_name, world, depth + 1) for item in fields}
            return list(held.values()) if kind.array_like else held
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.EnumType():
            return next(iter(kind.cls)).value
        case inspect.DictType():
            return {"a": example(kind.value_type, name, world, depth + 1)}
        case inspect.ListType() | inspect.VarTupleType() | inspect.CollectionType():
            if depth > 3:
                return []
            return [example(kind.item_type, name.removesuffix("s"), world, depth + 1)]
        case inspect.TupleType():
            return [example(item, name, world, depth + 1) for item in kind.item_types]
        case inspect.DateTimeType():
            return "2024-05-01T12:00:00Z"
        case inspect.TimeDeltaType():
            return "P1D"
        case inspect.BytesType():
            return ""  # base64 of nothing
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 1
        case inspect.FloatType():
            return 0.5
        case inspect.AnyType():
            return {"a": 1}
    digests = ("tree", "digest", "reference", "scores", "test", "environment_lock", "git_dirty_diff")
    return world.digest if name in digests else world.names.get(name, "something")
