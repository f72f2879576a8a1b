"""Compiles versions after they were registered, each in a sandboxed process of its own."""

import logging
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from msgspec import structs

from penstock.compute.sandbox.own_code import run_module
from penstock.compute.sandbox.sandbox import SandboxedProcess, start_in_sandbox
from penstock.compute.sandbox.types import SandboxPlan
from penstock.core import codec
from penstock.core.errors import ConflictError, PenstockError, UnavailableError
from penstock.core.identity import Actor, Role
from penstock.core.ids import Digest
from penstock.registry.compiling.placing import find_obstacle
from penstock.registry.format.mlmodel import read_mlmodel
from penstock.registry.format.types import FastForm
from penstock.registry.loading import Vetting, lay_out
from penstock.registry.service import RegistryService
from penstock.registry.trust.checking import check_folder
from penstock.registry.types import ModelVersion
from penstock.storage.database import Database
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.format import to_digest
from penstock.storage.objects.object_store import ObjectStore

log = logging.getLogger(__name__)

COMPILER = Actor("compiler", Role.CONTRIBUTOR)
LIMIT_S = 300.0
_TOLD = 4_000  # characters of what such a process wrote
_TARGET, _REPORT, _SAMPLE = "compiled", "report.json", "sample.parquet"


class VersionCompiler:
    """Looks for versions that nobody has compiled; several may work at once, and the first to end is right.

    A version stays what it is: its fast form is in a copy of its directory, which is what runs. Whatever comes of it
    is written down and not tried again, but for what the object store could not give just now.

    Args:
        db: where versions are kept.
        registry: their registry.
        objects: where their files are.
        cache: where directories are laid out.
        vetting: whose signatures count, and what a sandboxed process may use.
    """

    def __init__(
        self, db: Database, registry: RegistryService, objects: ObjectStore, cache: Path, vetting: Vetting
    ) -> None:
        self._db = db
        self._registry = registry
        self._objects = objects
        self._cache = cache
        self._vetting = vetting
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._process: SandboxedProcess | None = None

    def stop(self) -> None:
        """End what is under way; it is begun anew by whoever comes next."""
        with self._lock:
            self._stopped.set()
            if self._process is not None:
                self._process.kill()

    def tick(self) -> bool:
        """Compile one version; whether there was any.

        Raises:
            UnavailableError: its files, or a process, cannot be had just now.
        """
        version = self._registry.find_uncompiled()
        if version is None:
            return False
        with tempfile.TemporaryDirectory(prefix="penstock-compile-") as place:
            try:
                form, tree = self._compile(version, Path(place))
            except UnavailableError:
                raise
            except (PenstockError, OSError) as error:
                form, tree = FastForm(used=False, reason=str(error)), None
            try:
                self._keep(version, form, tree)
            except ConflictError as error:  # the copy lacks a signature that is demanded
                self._keep(version, FastForm(used=False, reason=str(error)), None)
        log.info("a version was looked at: %s", form.describe(), extra={"version": version.uri})
        return True

    def _keep(self, version: ModelVersion, form: FastForm, tree: Digest | None) -> None:
        work = self._registry.set_fast_form.join
        self._db.submit(lambda tx: work(tx, version, form, tree), actor=COMPILER).result()

    def _compile(self, version: ModelVersion, place: Path) -> tuple[FastForm, Digest | None]:
        folder = lay_out(self._objects, version.get_tree(), self._cache)
        check_folder(folder, self._vetting.find_standing(version.get_tree()), version.uri)
        info = read_mlmodel(folder)
        if info.fast_form is not None:  # it was saved with one, or with the reason why not
            return info.fast_form, None
        if obstacle := find_obstacle(folder, info):
            return FastForm(used=False, reason=obstacle), None
        form = self._run(version, folder, place)
        if not form.used:
            return form, None
        return form, to_digest(self._objects.add_folder(place / _TARGET, rules=Rules(links="refuse")).digest)

    def _run(self, version: ModelVersion, folder: Path, place: Path) -> FastForm:
        """What a process says that has the folder, and real rows where there are any, and nothing else."""
        argv, readable = run_module("penstock.registry.compiling.child")
        names = [str(folder), str(place / _TARGET), str(place / _REPORT)]
        if version.reference is not None:
            names.append(str(place / _SAMPLE))
            with open(names[-1], "wb") as file, self._objects.open(version.reference) as rows:
                shutil.copyfileobj(rows, file)
        settings = self._vetting.settings
        plan = SandboxPlan(
            python=Path(sys.executable),
            argv=(*argv, *names),
            folder=place,
            readable=(folder, *readable),
            forbidden=settings.forbidden,
            limits=structs.replace(settings.limits, cpu_s=int(LIMIT_S)),
        )
        with self._lock:
            if self._stopped.is_set():
                raise UnavailableError("this server ends")
            process = self._process = start_in_sandbox(plan, place / "output.log")
        try:
            ended = process.wait(LIMIT_S)
        finally:
            process.kill()
        if self._stopped.is_set():
            raise UnavailableError("this server ends")
        if ended is None:
            raise ConflictError(f"compiling it took longer than {LIMIT_S:.0f} s")
        if ended.exit_code != 0:
            log.warning("compiling failed: %s", (place / "output.log").read_text(errors="replace")[-_TOLD:])
            raise ConflictError(f"the process that compiled it {ended.describe()}")
        return codec.decode((place / _REPORT).read_bytes(), FastForm)
