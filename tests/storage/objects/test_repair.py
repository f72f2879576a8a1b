"""Every damage is found; the bad copy is set aside, and what it held is brought back from a good one."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.repair import Repairer, RepairReport
from penstock.storage.objects.transfer.copying import push
from s3_server import S3Server
from storage.objects.damage import WAYS, Damage, Patient

KINDS = {"loose", "index", "frame", "B1", "F1", "T1"}
REPAIR = """
import sys
from pathlib import Path
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.repair import Repairer
Repairer(LocalBlobStore(Path(sys.argv[1])), LocalBlobStore(Path(sys.argv[2]))).run(sys.argv[3:])
"""


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def good(patient: Patient, tmp_path: Path) -> LocalBlobStore:
    """A second copy of everything, as a push makes it."""
    blobs = LocalBlobStore(tmp_path / "good")
    push(LocalBlobStore(patient.folder), blobs, patient.roots)
    return blobs


def mend(patient: Patient, good: LocalBlobStore | None) -> RepairReport:
    return Repairer(LocalBlobStore(patient.folder), good).run(patient.roots)


def check_mended(patient: Patient, report: RepairReport, damage: Damage) -> None:
    assert not report.before.passed, damage
    assert report.after.passed, (damage, report.after.problems)
    fresh = patient.open()
    files = {path: fresh.get_bytes(entry.digest) for path, entry in fresh.list_files(patient.roots[0])}
    assert len(files) == 9 and [fresh.get_bytes(root) for root in patient.roots[1:]] == [b"alone", b"lonely" * 9]
    kept = {patient.folder / key: (patient.folder / key).read_bytes() for key in report.set_aside}
    for path in (damage.path, *damage.others) if damage.way == "swap" else (damage.path,):
        is_there = (patient.folder / path).exists()
        was_kept = any(str(key).endswith(path) for key in kept)
        assert is_there or was_kept or damage.way == "delete", (damage, report)


def run_damages(patient: Patient, good: LocalBlobStore, seeds: range, *, mend_every: int) -> None:
    met: Counter[str] = Counter()
    for seed in seeds:
        chance = random.Random(seed)
        damage = patient.damage(chance)
        met.update([damage.what, damage.way])
        if seed % mend_every == 0:
            check_mended(patient, mend(patient, good), damage)
            patient.restore()
        else:
            assert not patient.open().verify(patient.roots).passed, (seed, damage)
            patient.undo(damage)
    assert KINDS | set(WAYS) <= met.keys()
    assert patient.open().verify(patient.roots).problems == ()


def test_a_sample_of_damages_is_found_and_mended(patient: Patient, good: LocalBlobStore) -> None:
    run_damages(patient, good, range(250), mend_every=5)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_ten_thousand_damages_are_found(patient: Patient, good: LocalBlobStore, pytestconfig: pytest.Config) -> None:
    """A tenth of them without --thorough."""
    count = 10_000 if pytestconfig.getoption("--thorough") else 1_000
    run_damages(patient, good, range(400, 400 + count), mend_every=20)


def test_a_whole_store_is_left_as_it_is(patient: Patient, good: LocalBlobStore) -> None:
    report = mend(patient, good)
    assert report.before.passed and (report.restored, report.set_aside, report.salvaged) == ((), (), 0)
    assert {path: path.read_bytes() for path in patient.files()} == patient.whole


def test_many_damages_at_once_are_mended_together(patient: Patient, good: LocalBlobStore) -> None:
    for path, data in patient.whole.items():
        patient.write(path, data[:-1] + bytes([data[-1] ^ 1]))
    report = mend(patient, good)
    assert report.after.passed and len(report.set_aside) >= len(patient.whole)
    assert all((patient.folder / key).stat().st_size for key in report.set_aside)


def test_what_nobody_has_any_more_is_named_and_the_rest_is_mended(patient: Patient) -> None:
    pack = next(path for path in patient.whole if path.suffix == ".pack")
    patient.write(pack, patient.whole[pack][:60])
    report = mend(patient, None)
    assert report.after.missing and not report.after.damaged
    assert {problem.name for problem in report.after.missing} <= {
        p.name for p in report.before.damaged + report.before.missing
    }


def test_an_index_is_made_anew_from_its_pack(patient: Patient) -> None:
    index = next(path for path in patient.whole if path.suffix == ".index")
    good = patient.whole[index]
    patient.write(index, good[:10] + bytes([good[10] ^ 255]) + good[11:])
    report = mend(patient, None)
    assert report.after.passed and report.restored == () and index.read_bytes() == good


def test_another_copy_in_the_same_store_is_good_enough(patient: Patient) -> None:
    digest = patient.roots[1]
    loose = patient.folder / f"loose/{digest[:2]}/{digest}"
    again = patient.open()
    with again.open_pack() as pack:
        pack._knows = lambda digest: False
        pack.add(b"B1", b"alone")
        pack.flush()
    patient.write(loose, b"B1 alas")
    report = mend(patient, None)
    assert report.after.passed and report.restored == () and len(report.set_aside) == 1
    assert patient.open().get_bytes(digest) == b"alone"


def test_a_damaged_copy_elsewhere_is_not_taken(patient: Patient, good: LocalBlobStore) -> None:
    digest = patient.roots[1]
    patient.write(patient.folder / f"loose/{digest[:2]}/{digest}", b"B1 alas")
    for path in (good.folder / "packs").glob("*.pack"):
        body = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(body.replace(b"alone", b"alien"))
    report = mend(patient, good)
    assert [problem.name for problem in report.after.missing] == [digest]


@pytest.mark.parametrize("passing", [1, 2])
@pytest.mark.parametrize("point", ["salvaged", "published", "aside"])
def test_a_repair_that_is_killed_goes_on(patient: Patient, good: LocalBlobStore, point: str, passing: int) -> None:
    for path in [path for path in patient.whole if path.suffix == ".pack"][:2]:
        data = patient.whole[path]
        patient.write(path, data[:20] + bytes(9) + data[29:])
    command = [sys.executable, "-c", REPAIR, str(patient.folder), str(good.folder), *patient.roots]
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"objects.repair.{point}=kill@{passing}")
    assert subprocess.run(command, env=killed, check=False).returncode == -9
    report = mend(patient, good)
    assert report.after.passed and patient.open().verify(patient.roots).passed


def test_a_bucket_heals_a_folder(patient: Patient, s3: S3Server) -> None:
    from penstock.storage.objects.open import open_blobs

    bucket = open_blobs(f"{s3.new_bucket()}/copy")
    push(LocalBlobStore(patient.folder), bucket, patient.roots)
    for path in [path for path in patient.whole if path.suffix == ".pack"]:
        patient.write(path, bytes(len(patient.whole[path])))
    report = Repairer(LocalBlobStore(patient.folder), bucket).run(patient.roots)
    assert report.after.passed and len(report.restored) > 10
