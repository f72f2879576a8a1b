"""Writes projects as DVC has them, by hand, from the facts about its formats."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

Content = bytes | Mapping[str, bytes]  # of a file, or of the files of a folder


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def put(cache: Path, name: str, body: bytes, *, is_old: bool = False) -> Path:
    """Content under its name in a cache or remote."""
    file = (cache if is_old else cache / "files" / "md5") / name[:2] / name[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return file


def write_out(root: Path, path: str, content: Content, cache: Path, *, is_old: bool = False) -> dict[str, object]:
    """A `.dvc` file and its content; the entry of the file."""

    def hash_of(body: bytes) -> str:
        return md5(body.replace(b"\r\n", b"\n")) if is_old and b"\0" not in body else md5(body)

    if isinstance(content, bytes):
        out: dict[str, object] = {"md5": hash_of(content), "size": len(content)}
        put(cache, hash_of(content), content, is_old=is_old)
    else:
        for body in content.values():
            put(cache, hash_of(body), body, is_old=is_old)
        entries = sorted(
            ({"md5": hash_of(body), "relpath": name} for name, body in content.items()), key=lambda e: e["relpath"]
        )
        listed = json.dumps(entries, sort_keys=True).encode()
        put(cache, f"{md5(listed)}.dir", listed, is_old=is_old)
        out = {"md5": f"{md5(listed)}.dir", "size": sum(map(len, content.values())), "nfiles": len(content)}
    if not is_old:
        out["hash"] = "md5"
    out["path"] = os.path.basename(path)
    file = root / f"{path}.dvc"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("outs:\n- " + "\n  ".join(f"{key}: {value}" for key, value in out.items()) + "\n")
    return out


def make_project(root: Path, config: str = "") -> Path:
    """An empty project; returns its cache."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n" + config)
    return root / ".dvc" / "cache"
