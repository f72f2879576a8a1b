"""Checks are written into a project file without touching what a person wrote."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.core.project.edit import add_checks, checks_to_toml
from penstock.core.project.parse import load_checks, parse_project
from penstock.core.project.types import CheckSection, DistributionBounds, VolumeBounds

HEAD = '[project]\nname = "x"  # the name\ntask = "binary"\n\n'
CHECKS = [
    CheckSection(column="a", type="text", allowed=("x", 'say "y"\n'), tolerance=0.25, action="quarantine"),
    CheckSection(columns=("a", "b"), unique=True),
    CheckSection(volume=VolumeBounds(at_least=5, grows_by=0.5), action="warn"),
    CheckSection(column="b", between=(-1.5, 2), max_age=timedelta(hours=36), distribution=DistributionBounds()),
]


def read(text: str) -> tuple[CheckSection, ...]:
    return parse_project(text, root=Path("/")).data["t"].checks


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[data.t]\nsource = "t.csv"\n', ""),
        ('[data.t]\nsource = """t.csv"""\n\n# how it trains\n', "[pipeline]\nseed = 1 # why not\n"),
        (
            '[data.t]\nsource = "t.csv"\n[[data.t.check]]\ncolumn = "a"\nallowed = [\n  "[data.x]",\n]\n\n',
            '[data.u]\nsource = "u.csv"\n',
        ),
        ('[data]\n[data.t]\nsource = "t.csv"\n[data.t.mask]\na = "hash"', ""),
        ('[data."t"]\nsource = "t.csv"\n\n\n\n', "# last words\n# of two lines\n[data.u]\nsource = 'u.csv'"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_was_there_stays_where_it_was(before: str, after: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    text = HEAD + before + after
    file.write_bytes(text.replace("\n", ending).encode())
    declared = read(text)
    add_checks(file, "t", CHECKS)
    written = file.read_bytes().decode()
    assert written.count("\r\n") == (written.count("\n") if ending == "\r\n" else 0)
    written = written.replace("\r\n", "\n")
    assert read(written) == (*declared, *CHECKS)
    kept = iter(written.splitlines())
    assert all(line in kept for line in text.splitlines() if line)  # in this order
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "text",
    [
        'data = { t = { source = "t.csv" } }\n' + HEAD,
        HEAD + '[data]\nt = { source = "t.csv" }\n',
        HEAD + '[data.t]\nsource = "t.csv"\ncheck = [{ column = "a", unique = true }]\n',
    ],
)
def test_a_section_in_one_line_is_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match="cannot be added to; add what this command prints"):
        add_checks(file, "t", CHECKS)
    assert file.read_text() == text


@given(
    st.lists(
        st.one_of(
            st.text(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
        ),
        min_size=1,
        max_size=3,
    ),
    st.text(min_size=1),
)
def test_every_value_reads_back(allowed: list[str | int | float | bool], column: str) -> None:
    try:
        column.encode(), [text.encode() for text in allowed if isinstance(text, str)]
    except UnicodeEncodeError:
        return
    text = checks_to_toml([CheckSection(column=column, allowed=tuple(allowed))], "check")
    assert tomllib.loads(text)["check"] == [{"column": column, "allowed": allowed}]


def test_a_file_of_checks_reads_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "checks.toml"
    file.write_text('key = "a"\n\n' + checks_to_toml(CHECKS, "check"))
    section = load_checks(file, "t.csv")
    assert (section.source, section.key, section.checks) == ("t.csv", "a", tuple(CHECKS))
