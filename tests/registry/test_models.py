"""Models as such: names, renames, deletions, stages, and the history of all of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import AlreadyExistsError, ConflictError, InvalidInputError, NotFoundError
from penstock.core.events import Entry
from penstock.core.ids import Digest, Ref, ReportId, RunId
from penstock.registry.format.types import ModelInfo, Signature
from penstock.registry.lookup import VersionUse
from penstock.registry.names import TAG_LIMIT
from penstock.registry.service import RegistryService
from penstock.registry.types import ChangeKind, Stage, VersionStatus
from penstock.storage.database import Database
from penstock.storage.references import list_kept

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
INFO = ModelInfo(flavor="sklearn", task="binary", signature=Signature((), ()))
TREE = Digest("1" * 64)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT)


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    db = open_database(tmp_path, clock)
    yield db
    db.close()


@pytest.fixture
def registry(db: Database) -> RegistryService:
    return RegistryService(db)


def _fill(registry: RegistryService, name: str, versions: int = 2) -> None:
    registry.create_model(name)
    for number in range(versions):
        registry.add_version(name, f"s3://bucket/{number}")


@pytest.mark.parametrize(
    "name", ["churn", "a b", "Müller's model", "50 %", "a@b", "model?x=1&y", "x" * 250, "a~2", "✓"]
)
def test_names_may_hold_nearly_everything(registry: RegistryService, name: str) -> None:
    _fill(registry, name)
    registry.move_alias(name, "champion", 1)
    found = registry.resolve(f"models:/{name}@champion")
    assert (found.model, found.version, found.ref) == (name, 1, Ref("model-version", f"{name}/1"))
    assert Ref.parse(str(found.ref)) == found.ref


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "..", ".", "..a", "x" * 251, "a\x00b", "a\nb", "\ud800"])
def test_a_name_that_would_mean_something_else_is_refused(registry: RegistryService, name: str) -> None:
    with pytest.raises(InvalidInputError):
        registry.create_model(name)
    _fill(registry, "held")
    with pytest.raises(InvalidInputError):
        registry.rename_model("held", name)


def test_of_sixteen_who_make_a_model_one_succeeds(registry: RegistryService) -> None:
    def make(_: int) -> bool:
        try:
            registry.create_model("churn")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(make, range(16))) == 1


def test_a_rename_carries_versions_aliases_tags_and_history(registry: RegistryService, entries: list[Entry]) -> None:
    _fill(registry, "old")
    registry.set_model_tags("old", {"team": "risk"})
    registry.set_tags("old", 1, {"checked": "yes"})
    registry.move_alias("old", "champion", 1)
    renamed = registry.rename_model("old", "new name")
    assert (renamed.name, renamed.tags, renamed.ref) == ("new name", {"team": "risk"}, Ref("model", "old"))
    assert [version.version for version in registry.list_versions("new name")] == [2, 1]
    assert registry.resolve("models:/new name@champion").tags == {"checked": "yes"}
    assert [move.after for move in registry.alias_history("new name")] == [1]
    assert entries[-1].detail == {"before": "old", "after": "new name", "reason": ""}


def test_an_old_name_leads_to_the_model_until_another_takes_it(registry: RegistryService) -> None:
    _fill(registry, "old")
    registry.rename_model("old", "new")
    assert registry.get_version("old", 2).model == "new"
    registry.register("old", RunId("run-1"), TREE, INFO)
    assert registry.get_model("new").latest_version == 3
    made = registry.create_model("old")
    assert (made.ref, registry.list_versions("old")) == (Ref("model", "old~2"), [])
    with pytest.raises(AlreadyExistsError):
        registry.rename_model("new", "old")


def test_lineage_and_audit_never_mix_two_models_of_one_name(registry: RegistryService) -> None:
    _fill(registry, "churn")
    registry.delete_model("churn")
    _fill(registry, "churn")
    assert registry.get_version("churn", 1).ref == Ref("model-version", "churn~2/1")


def test_a_number_is_never_given_twice(registry: RegistryService, db: Database) -> None:
    _fill(registry, "churn", 3)
    registry.delete_version("churn", 3)
    assert registry.add_version("churn", "s3://bucket/x").version == 4
    assert registry.resolve("models:/churn/latest").version == 4
    registry.delete_version("churn", 4)
    assert registry.resolve("models:/churn/latest").version == 2
    with pytest.raises(NotFoundError, match="version 3 of model 'churn' was deleted"):
        registry.get_version("churn", 3)
    assert registry.add_version("churn", "s3://bucket/x").version == 5


def test_a_deleted_version_lets_its_files_and_aliases_go(registry: RegistryService, db: Database) -> None:
    registry.register("churn", RunId("run-1"), TREE, INFO)
    registry.move_alias("churn", "champion", 1)
    registry.delete_version("churn", 1, "wrong data")
    assert db.read(list_kept) == []
    assert registry.list_aliases("churn") == []
    told = [(change.kind, change.alias, change.before, change.after) for change in registry.history("churn")]
    assert told == [
        (ChangeKind.DELETED, "", "1", None),
        (ChangeKind.ALIAS, "champion", "1", None),
        (ChangeKind.ALIAS, "champion", None, "1"),
    ]


def test_what_is_in_use_is_not_deleted(registry: RegistryService) -> None:
    _fill(registry, "old")
    registry.protect(lambda tx: [VersionUse(Ref("deployment", "shop"), "old", 2)])
    registry.rename_model("old", "new")  # the deployment goes on calling it by its old name
    for delete in (lambda: registry.delete_version("new", 2), lambda: registry.delete_model("new")):
        with pytest.raises(ConflictError, match="version 2 of model 'new' is in use by deployment 'shop'"):
            delete()
    registry.delete_version("new", 1)


def test_history_outlives_the_model(registry: RegistryService, clock: ManualClock) -> None:
    _fill(registry, "old")
    registry.move_alias("old", "champion", 2)
    clock.advance(days=1)
    registry.rename_model("old", "new")
    registry.set_stage("new", 2, Stage.PRODUCTION)
    registry.set_status("new", 1, VersionStatus.ARCHIVED, "stale")
    clock.advance(days=1)
    registry.delete_model("new", "given up")
    for name in ("old", "new"):
        changes = registry.history(name)
        assert [change.kind for change in changes] == ["deleted", "alias", "status", "stage", "name", "alias"]
        assert (changes[0].reason, changes[0].actor) == ("given up", "tester")
    assert [change.kind for change in registry.history("new", until=MOMENT)] == ["alias"]
    with pytest.raises(NotFoundError):
        registry.get_model("new")
    with pytest.raises(NotFoundError, match="'penstock models list'"):
        registry.history("never")


def test_where_every_alias_pointed_at_a_past_moment_is_known(registry: RegistryService, clock: ManualClock) -> None:
    _fill(registry, "churn", 3)
    registry.move_alias("churn", "champion", 1)
    registry.move_alias("churn", "challenger", 2)
    clock.advance(days=1)
    registry.move_alias("churn", "champion", 2)
    registry.remove_alias("churn", "challenger")
    registry.delete_version("churn", 1)
    before = {move.alias: move.after for move in registry.aliases_at("churn", MOMENT + timedelta(hours=1))}
    assert before == {"champion": 1, "challenger": 2}
    assert [move.after for move in registry.aliases_at("churn", MOMENT + timedelta(days=1))] == [2]
    assert registry.aliases_at("churn", MOMENT - timedelta(days=1)) == []


def test_a_move_keeps_what_it_rests_on(registry: RegistryService) -> None:
    registry.register("churn", RunId("run-1"), TREE, INFO, report_id=ReportId("f" * 64))
    registry.move_alias("churn", "champion", 1, "gates passed", ("episode:e1", "verdict:v1"))
    (move,) = registry.alias_history("churn")
    assert move.evidence == ("episode:e1", "verdict:v1", f"report:{'f' * 64}")
    assert registry.history("churn")[0].evidence == move.evidence
    with pytest.raises(InvalidInputError, match="no reference"):
        registry.move_alias("churn", "other", 1, evidence=("nonsense",))


def test_one_version_in_a_stage_where_the_others_are_archived(registry: RegistryService, entries: list[Entry]) -> None:
    _fill(registry, "churn", 3)
    registry.set_stage("churn", 1, Stage.PRODUCTION)
    registry.set_stage("churn", 2, Stage.PRODUCTION)
    registry.set_stage("churn", 3, Stage.PRODUCTION, archive_others=True)
    assert [version.stage for version in registry.list_versions("churn")] == ["Production", "Archived", "Archived"]
    assert [entry.action for entry in entries].count("registry.set_stage") == 5
    with pytest.raises(InvalidInputError, match="not an Active stage"):
        registry.set_stage("churn", 3, Stage.ARCHIVED, archive_others=True)


def test_stages_move_no_alias(registry: RegistryService) -> None:
    _fill(registry, "churn", 1)
    registry.move_alias("churn", "champion", 1)
    archived = registry.set_stage("churn", 1, Stage.ARCHIVED)
    assert (archived.status, registry.resolve("models:/churn@champion").version) == (VersionStatus.READY, 1)


def test_tags_are_kept_whole_or_refused(registry: RegistryService) -> None:
    registry.create_model("churn", tags={"long": "x" * TAG_LIMIT})
    registry.add_version("churn", "s3://bucket/x", tags={"long": "é" * TAG_LIMIT})
    assert registry.get_model("churn").tags["long"] == "x" * TAG_LIMIT
    assert registry.get_version("churn", 1).tags["long"] == "é" * TAG_LIMIT
    with pytest.raises(InvalidInputError, match=f"maximum length of {TAG_LIMIT}"):
        registry.set_model_tags("churn", {"long": "x" * (TAG_LIMIT + 1)})
    registry.delete_model_tag("churn", "long")
    registry.delete_tag("churn", 1, "long")
    assert registry.get_model("churn").tags == registry.get_version("churn", 1).tags == {}


def test_every_change_leaves_an_audit_entry_and_nothing_else_does(
    registry: RegistryService, entries: list[Entry]
) -> None:
    _fill(registry, "churn", 1)
    for _ in range(2):  # the second time nothing is left to do
        registry.describe_model("churn", "who leaves")
        registry.describe_version("churn", 1, "the first")
        registry.set_model_tags("churn", {"a": "1"})
        registry.set_tags("churn", 1, {"a": "1"})
        registry.set_stage("churn", 1, Stage.STAGING)
    for _ in range(2):
        registry.delete_model_tag("churn", "a")
        registry.delete_tag("churn", 1, "a")
    actions = [entry.action.removeprefix("registry.") for entry in entries]
    assert actions == [
        "create_model",
        "register",
        "describe_model",
        "describe_version",
        "set_model_tags",
        "set_tags",
        "set_stage",
        "delete_model_tag",
        "delete_tag",
    ]


def test_a_version_without_its_files_says_where_they_are(registry: RegistryService) -> None:
    _fill(registry, "churn", 1)
    with pytest.raises(ConflictError, match="without its files, which are at s3://bucket/0"):
        registry.get_version("churn", 1).get_tree()
