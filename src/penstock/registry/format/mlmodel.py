"""The MLmodel file and the environment files beside it, as MLflow writes and reads them."""

import contextlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from blake3 import blake3
from msgspec import structs

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.plain_yaml import load_yaml
from penstock.registry.format.foreign import read_foreign
from penstock.registry.format.signature_file import read_signature, to_mlflow
from penstock.registry.format.types import FORMAT, ModelFacts, ModelInfo

FILE = "MLmodel"
SECTION = "penstock"  # our own flavor beside MLflow's python_function
_LOADER = "penstock.registry.format.pyfunc"
_OF_MLFLOW = ("sklearn", "lightgbm", "xgboost", "onnx")  # flavors that MLflow has too; its loaders read our files


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The version of each package that is installed, without the part that only names a local build."""
    found: dict[str, str] = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name).partition("+")[0]
    return found


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

    Of a model that MLflow saved, the task and what its signature leaves open is for the model itself to tell.

    Raises:
        InvalidInputError: nothing here can load it, or a newer penstock wrote it.
        CorruptDataError: the file is missing or damaged.
    """
    try:
        content = load_yaml((folder / FILE).read_text())
        section = content["flavors"].get(SECTION)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise CorruptDataError(f"{folder} holds no readable {FILE} file: {error}") from error
    if section is None:
        return read_foreign(content, folder)
    try:
        info = structs.replace(codec.convert(section, ModelInfo), saved_by=SECTION)
    except InvalidInputError as error:
        raise CorruptDataError(f"the {SECTION} section of {folder / FILE} is damaged: {error}") from error
    if info.format > FORMAT:
        raise InvalidInputError(
            f"the model in {folder} has format {info.format}, and {FORMAT} is the newest known here",
            hint="install a newer penstock",
        )
    return info


def add_section(folder: Path, info: ModelInfo) -> None:
    """Put what is known of a model into the MLmodel file of a directory, in the place of what penstock said before."""
    content = load_yaml((folder / FILE).read_text())
    content["flavors"][SECTION] = codec.to_builtins(info)
    _write_yaml(folder / FILE, content)


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
        return ModelFacts(info.flavor, info.task, info.signature, info.classes, info.label, info.fast_form)
    names = [str(name) for name in flavors if name != "python_function"] or ["python_function"]
    return ModelFacts(flavor=names[0][:50], signature=read_signature(found.get("signature")))


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
    flavors = {"python_function": python_function, SECTION: codec.to_builtins(info)}
    if info.flavor in _OF_MLFLOW:
        flavors[info.flavor] = {"code": None, **info.options}
    return {
        "flavors": flavors,
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
