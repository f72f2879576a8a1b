"""The SQL of datasets: one query per method, no rules."""

from sqlalchemy import func, insert, select

from penstock.datasets.tables import check_reports, dataset_versions
from penstock.datasets.types import CheckReport, Dataset, DatasetVersion, VersionSummary
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

_versions = dataset_versions.c
_reports = check_reports.c
_SUMMARY = [_versions[name] for name in VersionSummary.__struct_fields__]


class DatasetStore:
    """Reads and writes the tables of datasets."""

    def add_version(self, tx: Transaction, version: DatasetVersion) -> None:
        """Insert a version."""
        tx.execute(insert(dataset_versions).values(to_row(version)))

    def find_version(self, tx: Transaction, dataset: str, version: int | None) -> DatasetVersion | None:
        """A version by its number, or the newest."""
        query = select(dataset_versions).where(_versions.dataset == dataset)
        query = query.order_by(_versions.version.desc()).limit(1)
        if version is not None:
            query = query.where(_versions.version == version)
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(DatasetVersion, row)

    def list_versions(self, tx: Transaction, dataset: str, limit: int, before: int | None) -> list[VersionSummary]:
        """Versions of a dataset, newest first."""
        query = select(*_SUMMARY).where(_versions.dataset == dataset).order_by(_versions.version.desc()).limit(limit)
        if before is not None:
            query = query.where(_versions.version < before)
        return [from_row(VersionSummary, row) for row in tx.execute(query)]

    def list_datasets(self, tx: Transaction, limit: int, after: str) -> list[Dataset]:
        """Datasets with their newest version, by name."""
        newest = (
            select(_versions.dataset, func.max(_versions.version).label("newest"), func.count().label("versions"))
            .where(_versions.dataset > after)
            .group_by(_versions.dataset)
            .order_by(_versions.dataset)
            .limit(limit)
            .subquery()
        )
        is_newest = (_versions.dataset == newest.c.dataset) & (_versions.version == newest.c.newest)
        query = select(*_SUMMARY, newest.c.versions).join(newest, is_newest).order_by(_versions.dataset)
        rows = tx.execute(query).all()
        return [Dataset(name=row.dataset, versions=row.versions, latest=from_row(VersionSummary, row)) for row in rows]

    def add_report(self, tx: Transaction, report: CheckReport) -> None:
        """Insert a check report."""
        tx.execute(insert(check_reports).values(to_row(report)))

    def last_report_number(self, tx: Transaction, dataset: str) -> int:
        """The number of the newest report; 0 when there is none."""
        query = select(func.max(_reports.number)).where(_reports.dataset == dataset)
        return tx.execute(query).scalar_one() or 0

    def list_refused(self, tx: Transaction, dataset: str) -> list[CheckReport]:
        """The reports that kept data out since the last one that let some in."""
        accepted = select(func.max(_reports.number)).where(_reports.dataset == dataset, _reports.version.is_not(None))
        since = tx.execute(accepted).scalar_one() or 0
        query = select(check_reports).where(_reports.dataset == dataset, _reports.number > since)
        return [from_row(CheckReport, row) for row in tx.execute(query)]

    def list_reports(self, tx: Transaction, dataset: str, limit: int, before: int | None) -> list[CheckReport]:
        """Check reports of a dataset, newest first."""
        query = select(check_reports).where(_reports.dataset == dataset).order_by(_reports.number.desc()).limit(limit)
        if before is not None:
            query = query.where(_reports.number < before)
        return [from_row(CheckReport, row) for row in tx.execute(query)]
