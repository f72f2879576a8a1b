"""Examines files: puts aside the rows that may be, and checks what is left."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec import Struct, structs

from penstock.core.ids import Digest
from penstock.core.project.types import DataSection
from penstock.datasets.checks import Checked, Past, run_checks
from penstock.datasets.checks.findings import verdict
from penstock.datasets.checks.pandera_schema import check_with_pandera
from penstock.datasets.checks.quarantine import PutAside, put_aside
from penstock.datasets.frames import open_files
from penstock.datasets.types import CheckReport, CheckResult


class Examined(Struct, frozen=True, kw_only=True):
    """What became of some files.

    Attributes:
        report: of all their rows; its rows are those of the files, whether they stay or not.
        left: what is known of the rows that stay.
        parted: the files in two halves; None where no row was put aside.
    """

    report: CheckReport
    left: Checked
    parted: PutAside | None


def examine(
    files: Mapping[str, Path],
    section: DataSection,
    root: Path,
    *,
    folder: Path,
    now: datetime,
    tree: Digest | None = None,
    past: Past | None = None,
) -> Examined:
    """Check files; where rows were put aside, the other checks are made on the rows that are left.

    Args:
        files: by the path that each has in the version.
        section: names the columns and the checks.
        root: the folder that a schema of pandera is found from.
        folder: an empty one; what is parted lies in it.
        now: what `max_age` is measured against.
        tree: the stored files, for the report; None where they are not stored.
        past: what the files are compared with.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    whole = _check(files, section, root, now, past, None)
    parted = put_aside(files, whole, folder) if whole.marks else None
    report = structs.replace(whole.report, tree=tree or Digest(""))
    if parted is None:
        return Examined(report=report, left=whole, parted=None)
    lost = sum(parted.rows.values())
    if lost == report.rows:
        told = verdict("quarantine", None, "block", f"all {lost:,} rows would be put aside, and none be left")
        report = structs.replace(report, passed=False, results=(*report.results, told))
        return Examined(report=report, left=whole, parted=parted)
    left = _check(parted.kept, section, root, now, past, parted)
    results = _joined(report.results, left.report.results)
    return Examined(
        report=structs.replace(report, passed=left.report.passed, results=results), left=left, parted=parted
    )


def _check(
    files: Mapping[str, Path],
    section: DataSection,
    root: Path,
    now: datetime,
    past: Past | None,
    parted: PutAside | None,
) -> Checked:
    table = open_files(files.items())
    row_of = parted.row_in_source if parted is not None else None
    checked = run_checks(table, section, tree=Digest(""), now=now, past=past, row_of=row_of)
    if section.pandera is None:
        return checked
    found = tuple(check_with_pandera(table, section.pandera, root, checked.rows))
    passed = checked.report.passed and not any(result.blocks for result in found)
    report = structs.replace(checked.report, passed=passed, results=(*checked.report.results, *found))
    return structs.replace(checked, report=report)


def _joined(before: tuple[CheckResult, ...], after: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """What was put aside as it was found among all rows, everything else as it is of those that are left."""
    aside = {result.name: result for result in before if not result.passed and result.action == "quarantine"}
    return tuple(aside.pop(result.name, result) for result in after) + tuple(aside.values())
