"""The MLmodel file and the environment files beside it, as MLflow writes and reads them."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import yaml
from blake3 import blake3

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.plain_yaml import load_yaml
from penstock.registry.format.signature_file import from_mlflow, to_mlflow
from penstock.registry.format.types import FORMAT, Column, ModelFacts, ModelInfo, Signature

FILE = "MLmodel"
SECTION = "penstock"  # our own flavor beside MLflow's python_function
_LOADER = "penstock.registry.format.pyfunc"


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The version of each package, without the part that only names a local build."""
    return {name: metadata.version(name).partition("+")[0] for name in packages}


def write_mlmodel(folder: Path, info: ModelInfo) -> None:
    """Write MLmodel, requirements.txt, python_env.yaml and conda.yaml; the model's own files are there already."""
    python = platform.python_version()
    pins = [f"{name}=={version}" for name, version in info.packages.items()]
    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins))
    environment = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    _write_yaml(folder / "python_env.yaml", environment)
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": pins}],
    }
    _write_yaml(folder / "conda.yaml", conda)
    _write_yaml(folder / FILE, _describe(info, python, _digest_files(folder)))


def read_mlmodel(folder: Path) -> ModelInfo:
    """What a model directory says about its model.

    Raises:
        InvalidInputError: it was not written by penstock, or by a newer one.
        CorruptDataError: the file is missing or damaged.
    """
    try:
        content = load_yaml((folder / FILE).read_text())
        section = content["flavors"].get(SECTION)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise CorruptDataError(f"{folder} holds no readable {FILE} file: {error}") from error
    if section is None:
        known = ", ".join(map(str, content["flavors"]))
        raise InvalidInputError(
            f"the model in {folder} has only the flavors {known}",
            hint="load it with the library that saved it, and save it with penstock",
        )
    try:
        info = codec.convert(section, ModelInfo)
    except InvalidInputError as error:
        raise CorruptDataError(f"the {SECTION} section of {folder / FILE} is damaged: {error}") from error
    if info.format > FORMAT:
        raise InvalidInputError(
            f"the model in {folder} has format {info.format}, and {FORMAT} is the newest known here",
            hint="install a newer penstock",
        )
    return info


def read_facts(content: bytes) -> ModelFacts:
    """What an MLmodel file of any tool says about its model; what it does not say in a way known here stays out."""
    try:
        found = load_yaml(content)
        flavors = dict(found["flavors"])
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, TypeError, KeyError, ValueError):
        return ModelFacts()
    if SECTION in flavors:
        try:
            info = codec.convert(flavors[SECTION], ModelInfo)
        except InvalidInputError:
            return ModelFacts(flavor=SECTION)
        return ModelFacts(info.flavor, info.task, info.signature, info.classes, info.label)
    names = [str(name) for name in flavors if name != "python_function"] or ["python_function"]
    return ModelFacts(flavor=names[0][:50], signature=_read_signature(found.get("signature")))


def _read_signature(given: object) -> Signature:
    """The columns of a signature, each list of which is JSON in a text."""
    sides: list[tuple[Column, ...]] = []
    for side in ("inputs", "outputs"):
        text = given.get(side) if isinstance(given, dict) else None
        try:
            sides.append(from_mlflow(msgspec.json.decode(text)) if isinstance(text, str) else ())
        except msgspec.DecodeError:
            sides.append(())
    return Signature(*sides)


def _describe(info: ModelInfo, python: str, digest: str) -> dict[str, Any]:
    python_function = {
        "loader_module": _LOADER,
        "python_version": python,
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    }
    signature = {
        "inputs": codec.encode_text(to_mlflow(info.signature.inputs)),
        "outputs": codec.encode_text(to_mlflow(info.signature.outputs)),
        "params": None,
    }
    return {
        "flavors": {"python_function": python_function, SECTION: codec.to_builtins(info)},
        # From the content and without the time: saving the same model twice gives the same directory.
        "model_uuid": digest[:32],
        "metadata": {"task": info.task, "label": info.label},
        "signature": signature,
    }


def _digest_files(folder: Path) -> str:
    hasher = blake3()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        hasher.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        hasher.update(content)
    return hasher.hexdigest()


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
