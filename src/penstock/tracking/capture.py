"""What the present process runs from: git commit, uncommitted changes, environment, seed, command and host."""

import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from blake3 import blake3

from penstock.core.ids import Digest
from penstock.tracking.types import RunSource

SEED_VARIABLE = "PENSTOCK_SEED"
_GIT_TIMEOUT_S = 20
_SECRET_FLAG = re.compile(r"(?i)^--?[\w-]*(token|password|passwd|secret|api-?key|credential)[\w-]*$")
_SECRET_VALUE = re.compile(r"(?i)((?:token|password|passwd|secret|api-?key|credential)[\w-]*=)\S+")


def digest_of(content: bytes) -> Digest:
    """The digest of some bytes, kept nowhere."""
    return Digest(blake3(content).hexdigest())


def capture_source(folder: Path, *, seed: int | None = None, keep: Callable[[bytes], Digest] = digest_of) -> RunSource:
    """What a run in this process starts from.

    Args:
        folder: the project; its git repository is looked at, if it lies in one.
        seed: the seed the program uses; taken from PENSTOCK_SEED when not given.
        keep: stores the diff and the environment lock and returns their digests: `ObjectStore.put_bytes`.
    """
    diff = read_dirty_diff(folder)
    return RunSource(
        git_commit=read_git_commit(folder),
        git_dirty_diff=keep(diff) if diff else None,
        environment_lock=keep(read_environment_lock()),
        seed=_seed_of_environment() if seed is None else seed,
        command=describe_command(sys.argv),
        host=socket.gethostname(),
    )


def read_git_commit(folder: Path) -> str | None:
    """The commit that is checked out; None outside a repository or before its first commit."""
    answer = _git(folder, "rev-parse", "--verify", "HEAD")
    return None if answer is None else answer.decode().strip()


def read_dirty_diff(folder: Path) -> bytes:
    """How the tracked files differ from the commit, then name and digest of each untracked file; empty if clean."""
    changes = _git(folder, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color") or b""
    listed = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z") or b""
    untracked = b"".join(_describe_untracked(folder, name) for name in sorted(filter(None, listed.split(b"\0"))))
    return changes + untracked


def read_environment_lock() -> bytes:
    """Interpreter, platform and the version of every installed package, a line each, sorted."""
    held = {(found.name or "?").lower().replace("_", "-"): found.version for found in metadata.distributions()}
    packages = sorted(f"{name}=={version}\n" for name, version in held.items())
    about = f"# python {platform.python_version()} {platform.system().lower()} {platform.machine()}\n"
    return (about + "".join(packages)).encode()


def describe_command(argv: list[str]) -> str:
    """The command as typed, with the values of flags that look like secrets left out."""
    shown: list[str] = []
    for word in argv:
        is_secret = bool(shown) and bool(_SECRET_FLAG.match(shown[-1]))
        shown.append("***" if is_secret else _SECRET_VALUE.sub(r"\1***", word))
    return " ".join(shown)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says, or None where it has nothing to say: no git, no repository, no commit."""
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _describe_untracked(folder: Path, name: bytes) -> bytes:
    top = _git(folder, "rev-parse", "--show-toplevel") or b"."
    path = Path(os.fsdecode(top.rstrip(b"\n"))) / os.fsdecode(name)
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:  # gone or closed to us since git listed it
        content = b""
    return b"untracked " + name + b" " + digest_of(content).encode() + b"\n"


def _seed_of_environment() -> int | None:
    text = os.environ.get(SEED_VARIABLE, "")
    return int(text) if text.lstrip("-").isdigit() else None
