"""Whether requirements/*.lock still fit pyproject.toml: all pinned, allowed and hashed; needs no network."""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)*)", re.MULTILINE)
DIRECT = re.compile(
    r"^([A-Za-z0-9._-]+)==.*(?:\n    --hash.*)+\n    # via(?:\n    #   .*)*?(?:\n    #  )? penstock \(", re.MULTILINE
)


def mistakes(lock: Path, requirements: list[Requirement]) -> list[str]:
    """What is wrong with one lock, in sentences."""
    text = lock.read_text()
    pins: dict[str, list[str]] = {}
    found = []
    for name, version, rest in PIN.findall(text):
        pins.setdefault(canonicalize_name(name), []).append(version)
        if "--hash=" not in rest:
            found.append(f"{lock.name}: {name}=={version} has no hash")
    for requirement in requirements:
        versions = pins.get(canonicalize_name(requirement.name), [])
        if not versions:
            found.append(f"{lock.name}: {requirement.name} is not pinned")
        found += [
            f"{lock.name}: {requirement.name}=={version} is not allowed by {requirement}"
            for version in versions
            if not requirement.specifier.contains(version, prereleases=True)
        ]
    wanted = {canonicalize_name(requirement.name) for requirement in requirements}
    direct = {canonicalize_name(name) for name in DIRECT.findall(text)}
    found += [f"{lock.name}: {name} is no longer asked for by pyproject.toml" for name in sorted(direct - wanted)]
    return found


def main() -> int:
    """Compare both locks with pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = [Requirement(line) for line in project["dependencies"]]
    dev = base + [Requirement(line) for line in project["optional-dependencies"]["dev"]]
    found = mistakes(ROOT / "requirements/base.lock", base) + mistakes(ROOT / "requirements/dev.lock", dev)
    for sentence in found:
        print(sentence)
    if found:
        print("run 'make lock' and commit the result")
    else:
        print("locks: fresh")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
