"""A monitor that does all there is to do, or is killed on the way: `python -m monitoring.dying_monitor FOLDER NOW`."""

import sys
from datetime import datetime
from pathlib import Path

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.project.parse import parse_project
from penstock.governance.ledger import Ledger
from penstock.monitoring.monitor import Monitor
from shop_world import open_services


def main(folder: Path, now: datetime) -> None:
    db = open_database(folder, ManualClock(now))
    Ledger(db, None)
    monitor = Monitor(
        open_services(db, folder / "objects"), parse_project((folder / "penstock.toml").read_text(), root=folder)
    )
    while monitor.tick():
        pass
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
