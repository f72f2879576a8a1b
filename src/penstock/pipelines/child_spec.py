"""What a worker tells a child process, and what the child answers; both are JSON files."""

from typing import Any

from msgspec import Struct

from penstock.pipelines.graph import Graph
from penstock.pipelines.values.types import StoredValue


class Given(Struct, frozen=True, tag_field="is"):
    """An argument of the function."""


class GivenValue(Given, frozen=True, tag="value"):
    """A plain value."""

    value: Any


class GivenStored(Given, frozen=True, tag="stored"):
    """A value in the object store."""

    stored: StoredValue


class GivenMany(Given, frozen=True, tag="many"):
    """A list of arguments."""

    items: tuple["AnyGiven", ...]


class GivenStore(Given, frozen=True, tag="store"):
    """The object store itself, for steps of penstock's own."""


AnyGiven = GivenValue | GivenStored | GivenMany | GivenStore


class StoreAddress(Struct, frozen=True):
    """How another process opens the object store: a function as module:name, and what it is called with."""

    url: str
    opener: str = "penstock.storage.objects.open:open_object_store"


class ChildSpec(Struct, frozen=True, kw_only=True):
    """One thing to do: trace a pipeline, or run a function."""

    name: str  # of the step, for messages
    function: str  # module:name
    root: str  # the project's folder
    trace: dict[str, Any] | None = None  # the parameters of a pipeline that is to be traced
    arguments: dict[str, AnyGiven] = {}
    store: StoreAddress
    seed: int
    result: str  # the file of the answer


class ChildResult(Struct, frozen=True, kw_only=True):
    """What came of it; the traceback of an error is in the log."""

    output: StoredValue | None = None
    graph: Graph | None = None
    error: str = ""
