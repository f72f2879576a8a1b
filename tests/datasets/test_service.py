"""What the verbs of datasets record, list and refuse, and that all of it travels over HTTP."""

from pathlib import Path

import pytest
from msgspec import structs

from factories import open_database
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets import api
from penstock.datasets.ingest import ingest
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetDraft
from penstock.storage.objects.open import open_object_store
from penstock.storage.verbs import Verb


@pytest.fixture
def service(tmp_path: Path) -> DatasetService:
    return DatasetService(open_database(tmp_path))


def make_draft(folder: Path, number: int = 0, **section: object) -> DatasetDraft:
    (folder / "t.csv").write_text(f"a,b\n{number},007\n")
    data = DataSection(source="t.csv", **section)  # type: ignore[arg-type]
    return ingest(open_object_store(folder / "o"), data, folder, None)


def test_versions_are_numbered_without_holes_and_listed_in_pages(tmp_path: Path, service: DatasetService) -> None:
    for number in range(5):
        assert service.record_version("t", make_draft(tmp_path, number)).version == number + 1
    first = service.list_versions("t", limit=2)
    assert [version.version for version in first] == [5, 4]
    assert [version.version for version in service.list_versions("t", limit=9, before=4)] == [3, 2, 1]
    assert [report.number for report in service.list_check_reports("t", limit=2, before=5)] == [4, 3]
    with pytest.raises(InvalidInputError, match="1 to 1000 rows"):
        service.list_versions("t", limit=0)


def test_datasets_are_listed_by_name(tmp_path: Path, service: DatasetService) -> None:
    for name in ("b", "a", "c"):
        service.record_version(name, make_draft(tmp_path))
    assert [found.name for found in service.list_datasets()] == ["a", "b", "c"]
    assert [found.name for found in service.list_datasets(limit=1, after="a")] == ["b"]


def test_other_roles_make_another_version_of_the_same_files(tmp_path: Path, service: DatasetService) -> None:
    one = service.record_version("t", make_draft(tmp_path))
    two = service.record_version("t", make_draft(tmp_path, label="a"))
    assert (two.version, two.tree, two.roles.label) == (2, one.tree, "a")


def test_new_checks_of_a_known_version_are_kept_once(tmp_path: Path, service: DatasetService) -> None:
    service.record_version("t", make_draft(tmp_path))
    more = make_draft(tmp_path, checks=(CheckSection(column="a", not_null=True),))
    for _ in range(3):
        assert service.record_version("t", more).version == 1
    reports = service.list_check_reports("t")
    assert [(report.number, report.version, len(report.results)) for report in reports] == [(2, 1, 1), (1, 1, 0)]


def test_a_draft_whose_checks_failed_is_refused(tmp_path: Path, service: DatasetService) -> None:
    draft = make_draft(tmp_path)
    failed = structs.replace(draft, report=structs.replace(draft.report, passed=False))
    with pytest.raises(InvalidInputError, match="a blocking check of dataset 't' failed"):
        service.record_version("t", failed)
    with pytest.raises(InvalidInputError, match="cannot name a dataset"):
        service.record_version("../t", draft)


def test_every_verb_travels_as_json(tmp_path: Path, service: DatasetService) -> None:
    draft = make_draft(tmp_path)
    for route in api.ROUTES:
        assert isinstance(route.verb, Verb)
        assert route.verb.arguments and route.verb.returns
    arguments = codec.encode({"dataset": "t", "draft": draft})
    given = codec.decode(arguments, DatasetService.record_version.arguments)
    assert given.draft == draft  # type: ignore[attr-defined]
    version = service.record_version("t", draft)
    assert codec.decode(codec.encode(version), type(version)) == version
    assert service.get_version("t") == version
