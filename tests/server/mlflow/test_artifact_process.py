"""Artifacts over a real wire: a torn upload was never there, and readers see one file or the other, never both."""

import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from patience import PATIENCE_S, wait_until
from penstock.storage.objects.open import open_object_store
from server.mlflow.artifact_server import ROOT, ServerProcess, left_behind, run_server, send_torn

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with run_server(tmp_path_factory.mktemp("artifacts") / "home") as process:
        yield process


@pytest.fixture
def root(server: ServerProcess) -> str:
    """The root of a fresh run."""
    return server.create_run()


def listing(server: ServerProcess, path: str) -> list[dict[str, object]]:
    """A folder by the path of the proxy."""
    files: list[dict[str, object]] = httpx.get(server.url + ROOT, params={"path": path}).json().get("files", [])
    return files


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 1000, 3 * MIB])
def test_a_cut_body_is_never_visible(server: ServerProcess, root: str, size: int, chunked: bool) -> None:
    body = random.Random(size).randbytes(size)
    for cut in sorted({0, 1, size // 2, size - 1} - {size}):
        send_torn(server, f"{root}/torn.bin", body, chunked=chunked, cut=cut)
        assert listing(server, root) == []
        assert httpx.get(server.artifact(f"{root}/torn.bin")).status_code == 404
    assert httpx.put(server.artifact(f"{root}/torn.bin"), content=body).status_code == 200
    for cut in sorted({0, size // 2}):
        send_torn(server, f"{root}/torn.bin", b"\0" * size, chunked=chunked, cut=cut)
        assert httpx.get(server.artifact(f"{root}/torn.bin")).content == body
    wait_until(lambda: left_behind(server.home) == [])


def test_an_empty_file_comes_in_either_form(server: ServerProcess, root: str) -> None:
    for name, head in (("a", "Content-Length: 0\r\n\r\n"), ("b", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as wire:
            wire.sendall(f"PUT {ROOT}/{root}/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}".encode())
            assert b" 200 " in wire.recv(65536).partition(b"\r\n")[0]
        assert httpx.get(server.artifact(f"{root}/{name}")).content == b""
    assert [file["file_size"] for file in listing(server, root)] == [0, 0]


def test_readers_see_the_old_file_or_the_new_one(server: ServerProcess, root: str) -> None:
    url = server.artifact(f"{root}/model.bin")
    versions = [bytes([number]) * (2 * MIB + number) for number in range(4)]
    httpx.put(url, content=versions[0])
    stop = threading.Event()
    seen: list[int] = []
    torn: list[str] = []

    def read() -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                answer = client.get(url)
                if answer.status_code != 200 or answer.content not in versions:
                    torn.append(f"{answer.status_code}, {len(answer.content)} bytes")
                elif f'"{answer.headers["x-penstock-digest"]}"' != answer.headers["etag"]:
                    torn.append("the digest is another one")
                else:
                    seen.append(answer.content[0])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for round_ in range(12):
        assert httpx.put(url, content=versions[round_ % 4]).status_code == 200
    stop.set()
    for reader in readers:
        reader.join()
    assert torn == [] and len(seen) > 10 and len(set(seen)) > 1


def test_any_range_is_that_part_of_the_file(server: ServerProcess, root: str) -> None:
    data = random.Random(3).randbytes(3 * MIB + 17)
    url = server.artifact(f"{root}/w.bin")
    put = httpx.put(url, content=data)
    etag = put.headers["etag"]
    draw = random.Random(4)
    with httpx.Client() as client:
        for _ in range(60):
            start, length = draw.randrange(len(data)), draw.choice([1, 100, MIB, 2 * MIB])
            answer = client.get(url, headers={"range": f"bytes={start}-{start + length - 1}"})
            end = min(start + length, len(data))
            assert (answer.status_code, answer.content) == (206, data[start:end])
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(data)}"
        tail = client.get(url, headers={"range": "bytes=-5", "if-range": etag})
        assert (tail.status_code, tail.content) == (206, data[-5:])
        assert client.get(url, headers={"range": "bytes=-5", "if-range": '"other"'}).content == data
        beyond = client.get(url, headers={"range": f"bytes={len(data)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
        head = client.head(url)
        assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", len(data))
        same = client.get(url, headers={"if-none-match": f'"x", {etag}'})
        assert (same.status_code, same.content) == (304, b"")


@pytest.mark.every(2)
@pytest.mark.parametrize(
    "failpoint",
    [  # the first pass is the server's own, when it says that it is at work in the store
        "objects.append=kill@4",
        pytest.param("objects.append=kill@2", marks=pytest.mark.slow),
        "objects.rename=kill@2",
        pytest.param("objects.rename=kill@3", marks=pytest.mark.slow),
        "storage.writer.before_commit=kill@2",
        pytest.param("objects.fsync=kill@2", marks=pytest.mark.slow),
        pytest.param("objects.renamed=kill@3", marks=pytest.mark.slow),
        pytest.param("objects.fsync=kill@3", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_is_killed_while_it_writes_keeps_the_old_file(failpoint: str, tmp_path: Path) -> None:
    old, new = b"old" * MIB, os.urandom(3 * MIB)
    with run_server(tmp_path / "home") as server:
        root = server.create_run()
        assert httpx.put(server.artifact(f"{root}/w.bin"), content=old).status_code == 200
    with run_server(tmp_path / "home", failpoints=failpoint) as server:
        if "before_commit" in failpoint:
            server.create_run()  # the first pass
        with pytest.raises(httpx.TransportError):
            httpx.put(server.artifact(f"{root}/w.bin"), content=new)
        assert server.wait() == -9
    with run_server(tmp_path / "home") as server:
        assert httpx.get(server.artifact(f"{root}/w.bin")).content == old
        assert httpx.put(server.artifact(f"{root}/w.bin"), content=new).status_code == 200
        assert httpx.get(server.artifact(f"{root}/w.bin")).content == new
    assert open_object_store(tmp_path / "home" / "objects").verify().passed


def test_parts_survive_the_server_and_its_restart(tmp_path: Path) -> None:
    parts = [os.urandom(MIB), os.urandom(MIB), b"end"]
    with run_server(tmp_path / "home") as server:
        root = server.create_run()
        api = f"{server.url}/api/2.0/mlflow-artifacts/mpu"
        begun = httpx.post(f"{api}/create/{root}", json={"path": "big.bin", "num_parts": 3}).json()
        urls = {each["part_number"]: each["url"] for each in begun["credentials"]}
        etags = {3: httpx.put(urls[3], content=parts[2]).headers["etag"]}
        server.kill()
    with run_server(tmp_path / "home") as server:
        api = f"{server.url}/api/2.0/mlflow-artifacts/mpu"
        for number in (2, 1):
            url = server.url + httpx.URL(urls[number]).path
            etags[number] = httpx.put(url, content=parts[number - 1]).headers["etag"]
        named = [{"part_number": number, "etag": etag} for number, etag in etags.items()]
        done = {"path": "big.bin", "upload_id": begun["upload_id"], "parts": named}
        assert listing(server, root) == []
        assert httpx.post(f"{api}/complete/{root}", json=done).status_code == 200
        assert httpx.get(server.artifact(f"{root}/big.bin")).content == b"".join(parts)


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path: Path) -> None:
    with run_server(tmp_path / "home", failpoints="objects.append=enospc@4+") as server:
        root = server.create_run()
        assert httpx.put(server.artifact(f"{root}/a"), content=b"small").status_code == 200
        answer = httpx.put(server.artifact(f"{root}/a"), content=os.urandom(8 * MIB))
        assert (answer.status_code, answer.json()["error_code"]) == (507, "TEMPORARILY_UNAVAILABLE")
        assert str(tmp_path) not in answer.text
        assert httpx.get(server.artifact(f"{root}/a")).content == b"small"
        assert left_behind(server.home) == []


@pytest.mark.slow
def test_a_gigabyte_goes_in_and_out_in_constant_memory(server: ServerProcess, root: str) -> None:
    block = os.urandom(MIB)
    count = 1024

    def blocks() -> Iterator[bytes]:
        for number in range(count):
            yield number.to_bytes(8) + block[8:]

    peak = before = server.memory_bytes()
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, server.memory_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    url = server.artifact(f"{root}/huge.bin")
    with httpx.Client(timeout=PATIENCE_S) as client:
        assert client.put(url, content=blocks()).status_code == 200
        size = 0
        with client.stream("GET", url) as answer:
            assert int(answer.headers["content-length"]) == count * MIB
            for piece in answer.iter_bytes(MIB):
                expected = (size // MIB).to_bytes(8)
                assert piece[:8] == expected and piece[8:] == block[8:]
                size += len(piece)
    stop.set()
    watcher.join()
    assert size == count * MIB
    assert peak - before < 48 * MIB, f"{(peak - before) / MIB:.0f} MiB more"
