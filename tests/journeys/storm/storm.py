"""Eight writers on one server, and what is looked at when they have ended."""

import random
from collections import Counter
from pathlib import Path

from journeys.storm.checking import check_journals
from journeys.storm.wire import Fate, Stop, Wire
from journeys.storm.writer import StormWriter
from patience import wait_until
from penstock.app.app import open_app
from penstock.core.config import Config
from sdk.spool.servers import Server

WRITERS = 8


class Storm:
    """Eight writers on one server."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._stop = Stop()
        self.writers = [
            StormWriter(f"writer{number}", server.port, chance.randrange(10**9), self._stop)
            for number in range(WRITERS)
        ]

    def __enter__(self) -> "Storm":
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for writer in self.writers:
            writer.join()

    @property
    def acknowledged(self) -> int:
        return sum(writer.journal.acknowledged for writer in self.writers)

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more writes were acknowledged."""
        enough = self.acknowledged + count
        wait_until(lambda: self.acknowledged >= enough or self._stop.failures, "writes are acknowledged")

    def check(self, server: Server) -> None:
        """What was answered was right, and is there."""
        if self._stop.failures:
            raise self._stop.failures[0]
        wrong = [each for writer in self.writers for each in writer.wire.wrong]
        assert not wrong, f"{len(wrong)} wrong answers: {wrong[:5]}"
        statuses = sum((writer.wire.statuses for writer in self.writers), Counter())
        batches = [batch for writer in self.writers for run in writer.journal.runs for batch in run.batches]
        points = sum(batch.size for batch in batches if batch.fate is Fate.DONE)
        print(
            f"{self.acknowledged} calls acknowledged, with {points} points in batches; answers by status, 0 for none:"
        )
        print(dict(sorted(statuses.items())))
        wire = Wire(server.port)
        check_journals(wire, [writer.journal for writer in self.writers])
        wire.close()


AUDITED = {  # each row of the table has an entry of this action, and each entry its row
    "tracking.create_run": "SELECT id FROM runs",
    "registry.register": "SELECT model || '/' || version FROM model_versions",
}


def check_store(database: str, home: Path) -> None:
    """The audit chain and the objects are whole, and nothing that is needed is missing."""
    services = open_app(Config(home=home, database=database))
    try:
        audit = services.governance.verify_audit()
        assert audit.is_whole, audit.problems
        with services.tracking.db.snapshot() as tx:
            for action, query in AUDITED.items():
                rows = tx.connection.exec_driver_sql(query).scalars().all()
                entries = f"SELECT subject_id FROM audit_events WHERE action = '{action}'"
                assert Counter(tx.connection.exec_driver_sql(entries).scalars().all()) == Counter(rows), action
        report = services.objects.verify(services.governance.list_kept_objects())
        assert report.passed, (report.damaged, report.missing)
        print(f"{audit.events} audit events, {audit.checkpoints} checkpoints, {report.objects} objects")
    finally:
        services.close()


def seeded() -> random.Random:
    """Chance of a new seed, which is printed."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)
