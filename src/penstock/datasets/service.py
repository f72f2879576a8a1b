"""The verbs of datasets: versions, and the reports of the checks that let them in or kept them out."""

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref, check_name
from penstock.datasets.quality import QualityPoint, to_point
from penstock.datasets.splits.store import SplitStore
from penstock.datasets.splits.types import Split, SplitDraft
from penstock.datasets.store import DatasetStore
from penstock.datasets.types import (
    CheckReport,
    Dataset,
    DatasetDraft,
    DatasetVersion,
    FilesDraft,
    Profile,
    Roles,
    Schema,
    VersionSummary,
)
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

PAGE_LIMIT = 1_000


class DatasetService:
    """Datasets and their versions; files are read, checked and stored before, by `ingest`."""

    noun = "datasets"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = DatasetStore()
        self._splits = SplitStore()

    @logs
    def record_version(self, tx: Transaction, dataset: str, draft: DatasetDraft) -> DatasetVersion:
        """Make a draft the newest version; a draft of the same files and roles as the newest gives that one.

        Raises:
            InvalidInputError: a blocking check failed.
        """
        check_name(dataset, "dataset")
        if not draft.report.passed:
            raise InvalidInputError(f"a blocking check of dataset {dataset!r} failed", hint="record its report instead")
        newest = self._store.find_version(tx, dataset, None)
        if newest is not None and (newest.tree, newest.roles) == (draft.tree, draft.roles):
            self._let_refused_go(tx, dataset)
            self._note_checks(tx, newest, draft.report)
            return newest
        version = _to_version(tx, dataset, newest.version + 1 if newest else 1, draft)
        self._keep_version(tx, version)
        self._let_refused_go(tx, dataset)
        self._add_report(tx, dataset, draft.report, version.version)
        return version

    @logs
    def record_files(self, tx: Transaction, dataset: str, draft: FilesDraft) -> DatasetVersion:
        """Make stored files of any kind the newest version; the same files as the newest give that one.

        Raises:
            ConflictError: the dataset has versions that came from somewhere else.
        """
        check_name(dataset, "dataset")
        newest = self._store.find_version(tx, dataset, None)
        if newest is not None and newest.source != draft.source:
            raise ConflictError(
                f"dataset {dataset!r} comes from {newest.source!r}, not from {draft.source!r}",
                hint="give this one a name of its own with '--name'",
            )
        if newest is not None and newest.tree == draft.tree:
            return newest
        version = DatasetVersion(
            dataset=dataset,
            version=newest.version + 1 if newest else 1,
            source=draft.source,
            tree=draft.tree,
            roles=Roles(),
            schema=Schema(()),
            profile=Profile(0, ()),
            files=(),
            file_count=draft.files,
            rows=0,
            size=draft.size,
            created_at=tx.now,
            created_by=tx.actor.name,
        )
        self._keep_version(tx, version)
        return version

    @writes
    def record_check_report(self, tx: Transaction, dataset: str, report: CheckReport) -> CheckReport:
        """Write down what checks found in data that did not become a version.

        Its files are kept until the next ones are let in, so that somebody can look at the rows that are wrong.
        """
        check_name(dataset, "dataset")
        recorded = self._add_report(tx, dataset, report, None)
        keep_objects(tx, recorded.ref, filter(None, (report.tree,)))
        found = [result.message for result in report.failures]
        tx.record("datasets.refuse_version", Ref("dataset", dataset), tree=report.tree, rows=report.rows, found=found)
        return recorded

    @reads
    def get_version(self, tx: Transaction, dataset: str, version: int | None = None) -> DatasetVersion:
        """A version of a dataset; the newest when none is named.

        Raises:
            NotFoundError: no such dataset or version.
        """
        found = self._store.find_version(tx, dataset, version)
        if found is not None:
            return found
        newest = self._store.find_version(tx, dataset, None)
        if newest is None:
            raise NotFoundError(f"there is no dataset {dataset!r}", hint="'penstock data log' names those there are")
        raise NotFoundError(f"dataset {dataset!r} has no version {version}", hint=f"its newest is {newest.version}")

    @reads
    def find_latest(self, tx: Transaction, dataset: str) -> DatasetVersion | None:
        """The newest version of a dataset; None when there is none."""
        return self._store.find_version(tx, dataset, None)

    @reads
    def list_versions(
        self, tx: Transaction, dataset: str, limit: int = 100, before: int | None = None
    ) -> list[VersionSummary]:
        """Versions of a dataset, newest first; to go on, give the last number as `before`."""
        return self._store.list_versions(tx, dataset, _check_limit(limit), before)

    @reads
    def list_datasets(self, tx: Transaction, limit: int = 100, after: str = "") -> list[Dataset]:
        """Datasets with their newest version, by name; to go on, give the last name as `after`."""
        return self._store.list_datasets(tx, _check_limit(limit), after)

    @reads
    def latest_checks(self, tx: Transaction, dataset: str) -> CheckReport | None:
        """What the last checks of a dataset found, whether or not they let the data in; None when there were none."""
        found = self._store.list_reports(tx, dataset, 1, None)
        return found[0] if found else None

    @reads
    def list_check_reports(
        self, tx: Transaction, dataset: str, limit: int = 100, before: int | None = None
    ) -> list[CheckReport]:
        """Check reports of a dataset, newest first; to go on, give the last number as `before`."""
        return self._store.list_reports(tx, dataset, _check_limit(limit), before)

    @reads
    def list_quality(self, tx: Transaction, dataset: str, limit: int = 50) -> list[QualityPoint]:
        """What the newest reports of checks found, with what their versions are like, oldest first.

        Raises:
            NotFoundError: no such dataset, and nothing that would have become one.
        """
        reports = self._store.list_reports(tx, dataset, _check_limit(limit), None)
        if not reports and self._store.find_version(tx, dataset, None) is None:
            raise NotFoundError(f"there is no dataset {dataset!r}", hint="'penstock data log' names those there are")
        numbers = {report.version for report in reports if report.version is not None}
        versions = {number: self._store.find_version(tx, dataset, number) for number in numbers}
        return [to_point(report, versions.get(report.version or 0)) for report in reversed(reports)]

    @writes
    def record_split(self, tx: Transaction, dataset: str, name: str, draft: SplitDraft) -> Split:
        """Give a split its name; one that is there already in the same way is answered as it is.

        Raises:
            NotFoundError: no such dataset or version.
            ConflictError: the version has another split of this name.
        """
        check_name(name, "split")
        version = self.get_version.join(tx, dataset, draft.version)
        known = self._splits.find_split(tx, dataset, name, draft.version)
        if known is not None:
            if (known.recipe, known.tree) == (draft.recipe, draft.tree):
                return known
            hint = "take another name, as in --name second"
            raise ConflictError(f"version {draft.version} of {dataset!r} has another split {name!r} already", hint=hint)
        facts = {field: getattr(draft, field) for field in draft.__struct_fields__}
        split = Split(dataset=dataset, name=name, created_at=tx.now, created_by=tx.actor.name, **facts)
        self._splits.add_split(tx, split)
        keep_objects(tx, split.ref, [split.tree, version.tree])
        tx.record("datasets.record_split", split.ref, tree=split.tree, by=split.recipe.by)
        tx.link(version.ref, split.ref, "split")
        return split

    @reads
    def get_split(self, tx: Transaction, dataset: str, name: str, version: int | None = None) -> Split:
        """A split by its name; of the newest version that has it when none is given.

        Raises:
            NotFoundError: no such split.
        """
        found = self._splits.find_split(tx, dataset, name, version)
        if found is None:
            of = f"version {version} of dataset {dataset!r}" if version else f"dataset {dataset!r}"
            raise NotFoundError(f"{of} has no split {name!r}", hint=f"make one: penstock data split {dataset}")
        return found

    @reads
    def list_splits(self, tx: Transaction, dataset: str, limit: int = 100) -> list[Split]:
        """Splits of a dataset, those of the newest version first."""
        return self._splits.list_splits(tx, dataset, _check_limit(limit))

    def _keep_version(self, tx: Transaction, version: DatasetVersion) -> None:
        self._store.add_version(tx, version)
        keep_objects(tx, version.ref, [version.tree])
        tx.record("datasets.record_version", version.ref, tree=version.tree, source=version.source, rows=version.rows)
        tx.link(Ref("source", version.source), version.ref, "ingested")

    def _let_refused_go(self, tx: Transaction, dataset: str) -> None:
        """Keep the files no longer that checks have refused since they let the last ones in."""
        for report in self._store.list_refused(tx, dataset):
            drop_objects(tx, report.ref)

    def _note_checks(self, tx: Transaction, version: DatasetVersion, report: CheckReport) -> None:
        """Keep what checks found in a version that is there already, when that is news."""
        known = self._store.list_reports(tx, version.dataset, 1, None)
        if not known or (known[0].results, known[0].quarantine) != (report.results, report.quarantine):
            self._add_report(tx, version.dataset, report, version.version)

    def _add_report(self, tx: Transaction, dataset: str, report: CheckReport, version: int | None) -> CheckReport:
        number = self._store.last_report_number(tx, dataset) + 1
        recorded = structs.replace(report, dataset=dataset, version=version, number=number, created_at=tx.now)
        self._store.add_report(tx, recorded)
        if report.quarantine is not None:
            aside = Ref("quarantine", f"{dataset}/{number}")
            keep_objects(tx, aside, [report.quarantine.tree])
            tx.link(Ref("dataset-version", f"{dataset}/{version}"), aside, "quarantined")
        return recorded


def _to_version(tx: Transaction, dataset: str, number: int, draft: DatasetDraft) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset,
        version=number,
        source=draft.source,
        tree=draft.tree,
        roles=draft.roles,
        schema=draft.schema,
        profile=draft.profile,
        provenance=draft.provenance,
        files=draft.files,
        file_count=len(draft.files),
        rows=draft.profile.rows,
        size=sum(file.size for file in draft.files),
        time_start=draft.time_start,
        time_end=draft.time_end,
        created_at=tx.now,
        created_by=tx.actor.name,
    )


def _check_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidInputError(f"a page has 1 to {PAGE_LIMIT} rows, not {limit}", field="limit")
    return limit
