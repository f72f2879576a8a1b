"""The program that runs one step, or traces a pipeline: `python -P -m penstock.pipelines.child SPEC.json`.

It imports the project's code, so it is a process of its own; what it needs beyond that is imported only when met.
"""

import importlib
import os
import random
import sys
import traceback
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import failpoints
from penstock.core.errors import InvalidInputError, PenstockError
from penstock.pipelines.child_spec import (
    AnyGiven,
    ChildResult,
    ChildSpec,
    GivenMany,
    GivenStore,
    GivenStored,
    StoreAddress,
)
from penstock.pipelines.pipeline import Pipeline
from penstock.pipelines.values.stored import load_value, store_value
from penstock.storage.objects.object_store import ObjectStore


def main() -> int:
    """Do what the file says; 0 where it succeeded."""
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ChildSpec)
    sys.path.insert(0, spec.root)
    try:
        result = run(spec)
    except BaseException as error:  # sys.exit() in a step is a failure of the step
        traceback.print_exc()
        result = ChildResult(error=describe(error, Path(spec.root)))
    failpoints.hit("pipelines.child.before_result")
    write_result(result, Path(spec.result))
    return 1 if result.error else 0


def run(spec: ChildSpec) -> ChildResult:
    """Do what the spec says, in this process."""
    function = find_function(spec.function)
    if spec.trace is not None:
        if not isinstance(function, Pipeline):
            hint = "put @penstock.pipeline above it, or name another function in pipeline.entry of penstock.toml"
            raise InvalidInputError(f"{spec.function!r} is no pipeline", hint=hint)
        return ChildResult(graph=function.trace(spec.trace))
    objects = open_store(spec.store)
    arguments = {name: load_argument(given, objects) for name, given in spec.arguments.items()}
    seed_everything(spec.seed)
    value = function(**arguments)
    failpoints.hit("pipelines.child.before_store")
    return ChildResult(output=store_value(value, objects, where="it returned"))


def find_function(name: str) -> Any:
    """The function of that name, module:name.

    Raises:
        InvalidInputError: there is no such module or function.
    """
    module, _, place = name.partition(":")
    try:
        home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that it imports is missing
        hint = f"pipeline.entry of penstock.toml asks for {module.replace('.', '/')}.py"
        raise InvalidInputError(f"the project has no module {module!r}", hint=hint) from error
    try:
        return reduce(getattr, place.split("."), home)
    except AttributeError as error:
        raise InvalidInputError(f"module {module!r} defines no {place!r}", hint="see pipeline.entry") from error


def open_store(address: StoreAddress) -> ObjectStore:
    """The object store at an address."""
    module, _, name = address.opener.partition(":")
    store: ObjectStore = getattr(importlib.import_module(module), name)(address.url)
    return store


def load_argument(given: AnyGiven, objects: ObjectStore) -> Any:
    """The value of an argument."""
    if isinstance(given, GivenStored):
        return load_value(given.stored, objects)
    if isinstance(given, GivenMany):
        return [load_argument(item, objects) for item in given.items]
    return objects if isinstance(given, GivenStore) else given.value


def seed_everything(seed: int) -> None:
    """Let chance fall the same way each time, for whatever draws from the generators that everybody shares."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")  # a step that imports it later seeds its own generators
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def describe(error: BaseException, root: Path) -> str:
    """An error in a line: what, and where in the project's code."""
    if isinstance(error, PenstockError):
        what = str(error)
    else:
        text = str(error).strip() or "no message"
        what = f"{type(error).__name__}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if frame.lineno and _is_own(Path(frame.filename), root)]
    if not here:
        return what
    place = Path(here[-1].filename).relative_to(root)
    return f"{what} ({place}, line {here[-1].lineno})"


def _is_own(file: Path, root: Path) -> bool:
    return file.is_relative_to(root) and "site-packages" not in file.parts


def write_result(result: ChildResult, path: Path) -> None:
    """Write the answer; it appears whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(result))
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
