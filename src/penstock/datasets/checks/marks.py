"""Which rows of a table are marked, in a byte a row where any is marked nearby."""

import numpy as np
from numpy.typing import NDArray

_PAGE = 65_536


class RowMarks:
    """A set of row numbers of a table of any size."""

    def __init__(self) -> None:
        self._pages: dict[int, NDArray[np.bool_]] = {}

    def add(self, rows: NDArray[np.int64]) -> None:
        """Mark rows by their number within the table, from 0."""
        pages = rows // _PAGE
        for page in np.unique(pages).tolist():
            held = self._pages.setdefault(page, np.zeros(_PAGE, dtype=np.bool_))
            held[rows[pages == page] % _PAGE] = True

    def has(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these rows are marked."""
        found = np.zeros(len(rows), dtype=np.bool_)
        pages = rows // _PAGE
        for page in np.unique(pages).tolist():
            if page in self._pages:
                here = pages == page
                found[here] = self._pages[page][rows[here] % _PAGE]
        return found

    def within(self, start: int, count: int) -> NDArray[np.int64]:
        """The marked rows from `start` on, of the next `count`."""
        rows = np.arange(start, start + count, dtype=np.int64)
        return rows[self.has(rows)]

    def __len__(self) -> int:
        return sum(int(page.sum()) for page in self._pages.values())
