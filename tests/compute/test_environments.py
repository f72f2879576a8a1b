"""Environments of packages, from wheels that the tests make; nothing is fetched from anywhere."""

import os
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import pytest

from penstock.compute.environments import (
    EnvironmentMissingError,
    digest_environment,
    open_environment,
    read_requirements,
    split_requirement,
)
from penstock.core.errors import InvalidInputError


def make_wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which pip's configuration leads to and nowhere else."""
    folder = tmp_path / "wheels"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    make_wheel(folder, "churnlib", "1.2.0")
    make_wheel(folder, "churnlib", "2.0.0")
    return folder


def ask(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_has_what_was_asked_for_and_is_built_once(tmp_path: Path, wheels: Path) -> None:
    place = tmp_path / "environments"
    python = open_environment(("churnlib==1.2.0",), place)
    assert ask(python, "import churnlib; print(churnlib.VERSION)") == "1.2.0"
    built = python.parent.stat().st_mtime_ns
    wheels.rename(tmp_path / "gone")
    assert open_environment(("churnlib==1.2.0",), place) == python
    assert python.parent.stat().st_mtime_ns == built
    assert [path.name for path in place.iterdir()] == [digest_environment(("churnlib==1.2.0",))]


def test_one_without_requirements_is_empty(tmp_path: Path, wheels: Path) -> None:
    python = open_environment((), tmp_path / "environments")
    assert ask(python, "import importlib.util as u; print(u.find_spec('numpy'), u.find_spec('pip'))") == "None None"


def test_a_package_that_cannot_be_had_is_named_and_leaves_nothing(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match=r"churnlib==9\.9"):
        open_environment(("churnlib==9.9",), tmp_path / "environments")
    assert list((tmp_path / "environments").iterdir()) == []


def test_what_runs_code_to_be_installed_is_not_installed(tmp_path: Path, wheels: Path) -> None:
    marker = tmp_path / "marker"
    source = tmp_path / "source" / "evil-1.0"
    source.mkdir(parents=True)
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w'); import setuptools; setuptools.setup(name='evil')")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    subprocess.run(["tar", "-C", source.parent, "-czf", wheels / "evil-1.0.tar.gz", "evil-1.0"], check=True)
    with pytest.raises(EnvironmentMissingError, match="evil"):
        open_environment(("evil==1.0",), tmp_path / "environments")
    assert not marker.exists()


def test_environments_that_nobody_uses_go(tmp_path: Path, wheels: Path) -> None:
    place = tmp_path / "environments"
    script = (
        "import sys; from pathlib import Path; from penstock.compute.environments import open_environment\n"
        "print(open_environment(('churnlib==1.2.0',), Path(sys.argv[1])).parents[1])"
    )
    done = subprocess.run([sys.executable, "-c", script, place], capture_output=True, text=True, check=True)
    old = Path(done.stdout.strip())
    mine = open_environment(("churnlib==2.0.0",), place).parents[1]
    long_ago = time.time() - 31 * 24 * 3600
    for each in (old, mine):
        os.utime(each / "used", (long_ago, long_ago))
    with pytest.raises(EnvironmentMissingError):
        open_environment(("churnlib==9.9",), place)
    assert old.exists()  # nothing was built, so nothing is tidied
    open_environment((), place)
    assert not old.exists()
    assert mine.exists()  # this process works in it


@pytest.mark.parametrize(
    "line",
    [
        "-i https://evil.example",
        "-e git+https://evil.example/x",
        "evil @ https://evil.example/x.whl",
        "./evil",
        "/tmp/evil.whl",
        "-r other.txt",
        "numpy==1.0 --hash=sha256:00",
        "numpy $(touch x)",
        "https://evil.example/x.whl",
    ],
)
def test_only_packages_with_versions_are_read(line: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a package with versions"):
        read_requirements(f"numpy==2.0\n{line}\n")


def test_a_usual_list_is_read() -> None:
    text = "# made by a tool\nnumpy==2.1.0\n\nscikit_learn>=1.5,<2  # pinned\npandas[parquet]~=2.2\n"
    found = read_requirements(text + "foo; python_version < '3'\n")
    assert found == ("foo; python_version < '3'", "numpy==2.1.0", "pandas[parquet]~=2.2", "scikit_learn>=1.5,<2")
    assert split_requirement(found[3]) == ("scikit-learn", ">=1.5,<2", False)
    assert split_requirement(found[0]) == ("foo", "", True)
