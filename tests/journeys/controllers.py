"""A controller among several, whose clock jumps: `python -m journeys.controllers FOLDER NAME`."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.core.clock import ManualClock
from penstock.core.errors import PenstockError
from penstock.loop.controller import Controller
from shop_world import PROJECT, Shop

# One retrain after another, each through a canary, and no budget that would end the test.
BUSY = (
    PROJECT.replace('cooldown = "2d"', 'cooldown = "1s"')
    .replace('"3 per 30d"', '"100000 per 1d"')
    .replace("min_requests = 50", "min_requests = 30")
    .replace("margin = 0.02", "margin = 0.5")
    .replace('performance = { metric = "precision_at_3" }\n', "")
)
OFFSETS = "clocks.json"  # how far each controller's clock is off, in seconds; the test rewrites it


class JumpingClock(ManualClock):
    """The machine's clock, off by what a file says, or by as many seconds; it cannot be moved by hand."""

    def __init__(self, folder: Path, name: str, offset: float = 0.0) -> None:
        super().__init__()
        self._file, self._name, self._offset = folder / OFFSETS, name, offset

    def now(self) -> datetime:
        try:
            offset = json.loads(self._file.read_text()).get(self._name, self._offset)
        except (OSError, ValueError):  # it is being written
            offset = self._offset
        return datetime.now(UTC) + timedelta(seconds=offset)

    def monotonic(self) -> float:
        return time.monotonic()

    def advance(self, **delta: float) -> None:
        """Time goes by itself."""


def main(folder: Path, name: str) -> None:
    shop = Shop(folder, BUSY, JumpingClock(folder, name))
    controller = Controller(shop.services, shop.project, holder=name)
    while True:
        try:
            busy = controller.tick()
        except (PenstockError, OSError) as error:
            print(name, error, flush=True)
            busy = False
        if not busy:
            time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
