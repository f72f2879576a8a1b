"""Whether a tracked file names what only one machine knows: a registry's host, a home folder, a build path."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACES = {  # spelt so that this file does not find itself
    "a package registry's host": r"pypi\.org|pythonhosted\.or[g]|registry\.npmjs\.or[g]|registry\.yarnpkg\.co[m]",
    "an index address": r"--(?:extra-)?index-ur[l] \S|--find-link[s] \S",
    "a path of one machine": r"(?<![\w./-])/(?:work|root|home/\w+|Users/\w+)(?:/|\b(?![\w-]))",
}


def main() -> int:
    """Look at every line of every tracked text file."""
    patterns = {what: re.compile(pattern.encode()) for what, pattern in PLACES.items()}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        print("tracked files: not looked at, this is no git checkout")
        return 0
    found = 0
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if not path.is_file() or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            for what in (what for what, pattern in patterns.items() if pattern.search(line)):
                print(f"{name}:{number}: names {what}: {line.strip().decode(errors='replace')[:120]}")
                found += 1
    if not found:
        print("tracked files: nothing that only one machine knows")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
