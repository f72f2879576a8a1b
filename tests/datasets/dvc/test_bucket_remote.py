"""A remote in a bucket is read with the settings that DVC has for it."""

import os
import urllib.request
from pathlib import Path

import pytest

from datasets.dvc.dvc_world import make_project, write_out
from patience import PATIENCE_S
from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.datasets.dvc.importing import DvcImporter
from penstock.datasets.dvc.md5_index import Md5Index
from penstock.datasets.dvc.places import Places
from penstock.datasets.dvc.project import open_project
from penstock.storage.objects.open import open_object_store
from s3_server import S3Server

FILES = {"a.txt": b"a", "sub/b.bin": os.urandom(9_000_000)}
CONFIG = """    remote = r
['remote "r"']
    url = s3://{bucket}/deep/er
    endpointurl = {url}
    access_key_id = somebody
    secret_access_key = secret
    region = us-east-1
"""


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket, which the environment does not lead to."""
    address = f"{s3.url}/{s3.new_bucket().removeprefix('s3://')}"
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return address


def config_for(bucket: str) -> str:
    url, _, name = bucket.rpartition("/")
    return CONFIG.format(url=url, bucket=name)


def put(url: str, body: bytes) -> None:
    headers = {"content-type": "application/octet-stream"}  # else moto looks for a form in it
    request = urllib.request.Request(url, data=body, headers=headers, method="PUT")
    with urllib.request.urlopen(request, timeout=PATIENCE_S):
        pass


def test_content_comes_from_a_bucket(bucket: str, tmp_path: Path) -> None:
    root, remote = tmp_path / "p", tmp_path / "remote"
    make_project(root, config_for(bucket))
    write_out(root, "im", FILES, remote)
    for file in remote.rglob("*"):
        if file.is_file():
            put(f"{bucket}/deep/er/{file.relative_to(remote).as_posix()}", file.read_bytes())
    objects = open_object_store(tmp_path / "objects")
    project = open_project(root)
    (taken,), missing = DvcImporter(objects, Places(project), Md5Index(tmp_path / "index")).take(project.outs)
    assert missing == []
    assert {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(taken.tree)} == FILES


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_told_without_secrets(bucket: str, tmp_path: Path) -> None:
    root = tmp_path / "p"
    make_project(root, config_for(bucket).replace("/deep", "-none/deep"))
    write_out(root, "im", FILES, tmp_path / "elsewhere")
    project = open_project(root)
    importer = DvcImporter(open_object_store(tmp_path / "objects"), Places(project), Md5Index(tmp_path / "index"))
    _, missing = importer.take(project.outs)
    assert [each.path for each in missing] == ["im"]
    (root / ".dvc" / "config.local").write_text("['remote \"r\"']\n    endpointurl = http://127.0.0.1:1\n")
    project = open_project(root)
    importer = DvcImporter(open_object_store(tmp_path / "objects"), Places(project), Md5Index(tmp_path / "index"))
    with pytest.raises((UnavailableError, InvalidInputError)) as caught:
        importer.take(project.outs)
    assert "secret" not in str(caught.value)
