"""What is described is what there is; what a description says is what is taken in."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest

from factories import open_database
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.project.types import DataSection
from penstock.datasets.croissant.importing import TakenIn, take_in
from penstock.datasets.croissant.writing import Description, describe
from penstock.datasets.ingest import add_version
from penstock.datasets.reading.reader import DatasetReader, find_version
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetChecksError, FilesDraft
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

REQUIRED = ("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished")
FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3],
        "price, €": [1.5, None, 2.0],
        "who": ["007", "b", None],
        "on": [True, False, None],
        "day": ["2024-01-01", "2024-01-02", None],
        "at": ["2024-01-01T00:00:00", None, None],
    }
)


@pytest.fixture
def service(tmp_path: Path) -> DatasetService:
    return DatasetService(open_database(tmp_path))


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def sales(tmp_path: Path, service: DatasetService, objects: ObjectStore) -> DatasetReader:
    FRAME.write_csv(tmp_path / "sales 1.csv")
    add_version(service, objects, "sales", DataSection(source="sales 1.csv", key="id"), tmp_path)
    return DatasetReader(objects, find_version(service, "sales"))


@pytest.fixture
def take(tmp_path: Path, service: DatasetService, objects: ObjectStore) -> Callable[..., TakenIn]:
    return partial(take_in, service, objects, name="taken")


def ids(value: Any) -> Iterator[tuple[str, bool]]:
    """Every identifier, and whether something has it (rather than refers to it)."""
    if isinstance(value, dict):
        if "@id" in value:
            yield value["@id"], len(value) > 1
        for name, each in value.items():
            yield from ids(each) if name != "@context" else ()
    elif isinstance(value, list):
        for each in value:
            yield from ids(each)


def save(folder: Path, described: dict[str, Any]) -> Path:
    file = folder / "croissant.json"
    file.write_text(json.dumps(described))
    return file


def test_a_description_has_what_the_format_asks_for(sales: DatasetReader) -> None:
    said = Description(text="All sales", licence="https://spdx.org/licenses/CC0-1.0", creator="the shop")
    found = json.loads(json.dumps(describe(sales, said, base="https://example.org/d/")))
    assert [name for name in REQUIRED if not found.get(name)] == []
    context = found["@context"]
    assert (context["@vocab"], context["cr"]) == ("http://schema.org/", "http://mlcommons.org/croissant/")
    assert context["dataType"] == {"@id": "cr:dataType", "@type": "@vocab"}
    assert (found["@type"], found["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.1")
    assert (found["name"], found["version"]) == ("sales", "1.0.0")
    assert found["creator"] == {"@type": "sc:Organization", "name": "the shop"}
    (file,) = found["distribution"]
    body = FRAME.write_csv().encode()
    assert file == {
        "@type": "cr:FileObject",
        "@id": "sales%201.csv",
        "name": "sales 1.csv",
        "contentUrl": "https://example.org/d/sales%201.csv",
        "contentSize": f"{len(body)} B",
        "encodingFormat": "text/csv",
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    (table,) = found["recordSet"]
    assert (table["@type"], table["key"]) == ("cr:RecordSet", [{"@id": f"{table['@id']}/id"}])
    assert [(field["@type"], field["name"], field["dataType"]) for field in table["field"]] == [
        ("cr:Field", "id", "sc:Integer"),
        ("cr:Field", "price, €", "sc:Float"),
        ("cr:Field", "who", "sc:Text"),
        ("cr:Field", "on", "sc:Boolean"),
        ("cr:Field", "day", "sc:Date"),
        ("cr:Field", "at", "sc:DateTime"),
    ]
    assert table["field"][1]["source"] == {"fileObject": {"@id": file["@id"]}, "extract": {"column": "price, €"}}
    known = [name for name, is_owner in ids(found) if is_owner]
    assert len(known) == len(set(known))
    assert {name for name, is_owner in ids(found) if not is_owner} <= set(known)
    terms = set(context) | {"name", "description", "license", "url", "creator", "datePublished", "dateCreated"}
    terms |= {"version", "distribution", "contentUrl", "contentSize", "encodingFormat", "sha256"}
    assert words(found) <= terms


def words(value: Any) -> set[str]:
    """Every property but those of JSON-LD itself."""
    if isinstance(value, list):
        return set().union(*map(words, value))
    if not isinstance(value, dict):
        return set()
    own = {name for name in value if not name.startswith("@")}
    return own.union(*(words(each) for name, each in value.items() if name != "@context"))


def test_files_of_any_kind_have_no_tables(tmp_path: Path, service: DatasetService, objects: ObjectStore) -> None:
    (tmp_path / "f" / "sub").mkdir(parents=True)
    (tmp_path / "f" / "sub" / "a.png").write_bytes(b"png")
    added = objects.add_folder(tmp_path / "f")
    draft = FilesDraft(source="f", tree=added.digest.hex(), files=added.files, size=added.size)
    found = describe(DatasetReader(objects, service.record_files("f", draft)), Description(), base="")
    assert "recordSet" not in found
    assert "license" not in found
    assert [(f["contentUrl"], f["encodingFormat"]) for f in found["distribution"]] == [("sub/a.png", "image/png")]


def test_what_goes_out_comes_back(tmp_path: Path, sales: DatasetReader, take: Callable[..., TakenIn]) -> None:
    sales.checkout(tmp_path / "out")
    file = save(tmp_path / "out", describe(sales, Description(), base=""))
    taken = take(str(file))
    assert (taken.version.dataset, taken.version.source) == ("taken", str(file))
    assert (taken.version.tree, taken.version.schema) == (sales.version.tree, sales.version.schema)
    assert taken.version.roles.key == "id"
    assert (taken.unchecked, taken.skipped) == ((), ())
    assert taken.section is not None
    assert {check.column: check.type for check in taken.section.checks} == {
        "id": "integer",
        "price, €": "number",
        "on": "boolean",
        "day": "date",
        "at": "datetime",
    }


def test_a_column_of_another_type_keeps_the_data_out_or_warns(
    tmp_path: Path, sales: DatasetReader, service: DatasetService, take: Callable[..., TakenIn]
) -> None:
    sales.checkout(tmp_path / "out")
    described = describe(sales, Description(), base="")
    described["recordSet"][0]["field"][2]["dataType"] = ["sc:Integer", "https://www.wikidata.org/wiki/Q1"]
    file = save(tmp_path / "out", described)
    with pytest.raises(DatasetChecksError, match="who"):
        take(str(file))
    assert service.find_latest("taken") is None
    assert service.latest_checks("taken") is not None
    assert take(str(file), action="warn").version.rows == 3


def test_a_file_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, sales: DatasetReader, service: DatasetService, take: Callable[..., TakenIn]
) -> None:
    sales.checkout(tmp_path / "out")
    file = save(tmp_path / "out", describe(sales, Description(), base=""))
    (tmp_path / "out" / "sales 1.csv").chmod(0o644)
    (tmp_path / "out" / "sales 1.csv").write_text("id\n1\n")
    with pytest.raises(ConflictError, match="has the SHA-256"):
        take(str(file))
    (tmp_path / "out" / "sales 1.csv").unlink()
    with pytest.raises(NotFoundError, match=r"no file .*sales 1\.csv"):
        take(str(file))
    with pytest.raises(NotFoundError, match="no file"):
        take(str(tmp_path / "none.json"))
    assert service.find_latest("taken") is None


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_description_and_its_files_come_over_http(
    served: tuple[Path, str], sales: DatasetReader, take: Callable[..., TakenIn]
) -> None:
    folder, address = served
    for base in ("", f"{address}/"):
        described = describe(sales, Description(), base=base)
        save(folder, described)
        (folder / "sales 1.csv").write_bytes(sales.open("sales 1.csv").read())
        taken = take(f"{address}/croissant.json")
        assert (taken.version.source, taken.version.rows) == (f"{address}/croissant.json", 3)
    described["distribution"][0]["sha256"] = "0" * 64
    save(folder, described)
    with pytest.raises(ConflictError, match="SHA-256"):
        take(f"{address}/croissant.json")


@pytest.mark.parametrize("url", ["/etc/hostname", "../secret.csv", "file:///etc/hostname", "ftp://x/y.csv"])
def test_no_description_reads_what_does_not_belong_to_it(
    url: str, served: tuple[Path, str], tmp_path: Path, sales: DatasetReader, take: Callable[..., TakenIn]
) -> None:
    folder, address = served
    (tmp_path / "secret.csv").write_text("a\n1\n")
    described = describe(sales, Description(), base="")
    described["distribution"][0] |= {"contentUrl": url}
    del described["distribution"][0]["sha256"]
    file = save(folder, described)
    with pytest.raises((InvalidInputError, NotFoundError)):
        take(str(file))
    with pytest.raises((InvalidInputError, NotFoundError)):
        take(f"{address}/croissant.json")


def test_what_lies_within_archives_is_named_and_the_rest_taken(
    tmp_path: Path, take: Callable[..., TakenIn], objects: ObjectStore
) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    file = save(
        tmp_path,
        {
            "conformsTo": ["http://mlcommons.org/croissant/1.0"],
            "name": "d",
            "distribution": [
                {"@type": "cr:FileObject", "@id": "a", "contentUrl": "a.zip"},
                {"@type": "cr:FileSet", "@id": "imgs", "containedIn": {"@id": "a"}, "includes": "*.jpg"},
                {"@type": "cr:FileObject", "@id": "t", "contentUrl": "t.csv", "containedIn": {"@id": "a"}},
            ],
        },
    )
    taken = take(str(file))
    assert [path for path, _ in objects.list_files(taken.version.tree)] == ["a.zip"]
    assert (taken.unchecked, taken.section) == (("a.zip",), None)
    assert taken.skipped == ("imgs is a set of files within others", "t lies within another file")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "no JSON"),
        ("[]", "does not say that it conforms"),
        ('{"conformsTo": "http://schema.org"}', "does not say that it conforms"),
        ('{"conformsTo": "http://mlcommons.org/croissant/1.1"}', "names no file"),
        (
            '{"conformsTo": "http://mlcommons.org/croissant/1.1", "distribution": '
            '[{"@type": "cr:FileObject", "contentUrl": "a.csv"}, {"@type": "cr:FileObject", "contentUrl": "./a.csv"}]}',
            "two files 'a.csv'",
        ),
    ],
)
def test_what_is_no_description_is_told(body: str, told: str, tmp_path: Path, take: Callable[..., TakenIn]) -> None:
    (tmp_path / "c.json").write_text(body)
    with pytest.raises(InvalidInputError, match=told):
        take(str(tmp_path / "c.json"))
