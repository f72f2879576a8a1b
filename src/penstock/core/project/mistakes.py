"""What is wrong in a project file: one record a mistake, and the error that carries them all."""

from collections.abc import Sequence

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.project.positions import KeyPath


class Mistake(Struct, frozen=True, order=True):
    """One thing to mend in the file."""

    line: int  # counted from 1
    key: str  # such as data.events.check[0].between; empty for a mistake of syntax
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.problem}" + (f"; {self.hint}" if self.hint else "")


class ProjectFileError(InvalidInputError):
    """The project file cannot be used as it stands.

    Attributes:
        file: its path, as the caller gave it.
        mistakes: all of them, in the order of their lines.
    """

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = sorted(mistakes)
        count = len(self.mistakes)
        lines = [f"{file} has {count} mistake{'s' if count > 1 else ''}:"]
        lines += [f"  {file}:{mistake.line}: {mistake}" for mistake in self.mistakes]
        super().__init__("\n".join(lines), field=self.mistakes[0].key)


def key_text(path: KeyPath) -> str:
    """A path as people write it: `gate[0].metric`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
