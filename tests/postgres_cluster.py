"""A throw-away PostgreSQL for tests: Debian's own programs in a temporary folder, and a fresh database for each test.

`PENSTOCK_TEST_POSTGRES` names a server to use instead, as a URL whose user may create databases.
"""

import contextlib
import getpass
import glob
import importlib.util
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from patience import PATIENCE_S
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

GIVEN = os.environ.get("PENSTOCK_TEST_POSTGRES", "")
MUST_RUN = bool(os.environ.get("PENSTOCK_TEST_COMPLETE"))  # whatever is missing here is then a failure, not a skip
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200")  # it need not outlive the machine
_numbers = itertools.count(1)


class Cluster:
    """A PostgreSQL server of its own; it ends with this process, however that ends."""

    def __init__(self) -> None:
        self._bin = find_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # PostgreSQL refuses to run as root
        account = pwd.getpwnam(self._user)
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", "data", "-U", "penstock", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> URL:
        """Of a database to connect to when another one is to be made."""
        return make_url(f"postgresql+psycopg://penstock@/postgres?host={self._folder}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = itertools.chain.from_iterable(("-c", option) for option in _FAST)
        argv = [self._bin / "postgres", "-D", "data", "-k", self._folder, "-c", "listen_addresses=", *options]
        log = open(self._folder / "log", "ab")  # noqa: SIM115 - the child has it
        with log:
            self._server = subprocess.Popen(
                [*self._drop("--pdeathsig=INT"), *map(str, argv)], cwd=self._folder, stdout=log, stderr=log
            )
        _wait_for(self.url, self._folder / "log")

    def stop(self, how: int = signal.SIGINT) -> None:
        """End the server: SIGINT breaks every connection, SIGQUIT is a crash."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(PATIENCE_S)
            self._server = None

    def remove(self) -> None:
        """End the server for good."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _drop(self, *options: str) -> list[str]:
        as_user = [f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *as_user, *options]

    def _run(self, program: str, *arguments: str) -> None:
        argv = [*self._drop(), str(self._bin / program), *arguments]
        done = subprocess.run(argv, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class Databases:
    """Fresh databases on one server, made from a template that has the whole schema."""

    def __init__(self, server: URL) -> None:
        self._server = server.set(drivername="postgresql+psycopg")
        self._prefix = f"penstock_test_{os.getpid()}_"
        self._admin = create_engine(self._server, isolation_level="AUTOCOMMIT")
        self._template = self.create(template="template0")
        db = Database(self._template)
        db.migrate()
        db.write(_empty)
        db.close()

    def create(self, *, template: str = "") -> str:
        """The URL of a new database; without a template it has every table."""
        name = f"{self._prefix}{next(_numbers)}"
        source = template or make_url(self._template).database
        how = " ENCODING 'UTF8' LOCALE 'C'" if template == "template0" else ""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {source}{how}")
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def close(self) -> None:
        """Remove the template and leave the server."""
        self.drop(self._template)
        self._admin.dispose()

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)


def find_programs() -> Path:
    """The folder of PostgreSQL's programs; where there are none the test is skipped, or fails where all have to run."""
    folders = [Path(found).parent for found in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))
    found = shutil.which("initdb")
    if found is None:
        missing("PostgreSQL is not installed here: apt-get install postgresql, or set PENSTOCK_TEST_POSTGRES")
    return Path(found).resolve().parent


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where everything has to run."""
    if MUST_RUN:
        pytest.fail(what)
    pytest.skip(what)


@cache
def databases() -> Databases:
    """The server that all tests of this process share."""
    if importlib.util.find_spec("psycopg") is None:
        missing("psycopg is not installed: pip install 'penstock[postgres]'")
    if GIVEN:
        return Databases(make_url(GIVEN))
    cluster = Cluster()
    _started.append(cluster)
    return Databases(cluster.url)


_started: list[Cluster] = []


def remove_all() -> None:
    """End what `databases` began."""
    if databases.cache_info().currsize:
        databases().close()
        databases.cache_clear()
    while _started:
        _started.pop().remove()


def _empty(tx: Transaction) -> None:
    """Remove what migrations put into tables, as there is nothing in a test's SQLite either."""
    names = [name for name in inspect(tx.connection).get_table_names() if name != "alembic_version"]
    tx.execute(text(f"TRUNCATE {', '.join(names)}"))


def _wait_for(url: URL, log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while True:
            with contextlib.suppress(OperationalError), engine.connect():
                return
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    finally:
        engine.dispose()
