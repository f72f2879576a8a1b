"""OpenSSF's own model-signing checks what we signed, and we check what it signed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytest.importorskip("OpenSSL", reason="model-signing imports pyOpenSSL, which it does not ask for")
HERE = Path(__file__).parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def penstock(python: str, tmp_path: Path) -> Run:
    """The command line, with a home folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, "-m", "penstock", "models", *arguments],
            env=kept | {"PENSTOCK_HOME": str(home)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def model(python: str, tmp_path: Path) -> Path:
    """A model directory."""
    folder = tmp_path / "churn"
    subprocess.run([python, HERE / "make_model.py", folder], check=True, capture_output=True)
    return folder


def model_signing(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "model_signing", *arguments], capture_output=True, text=True)


def make_key(folder: Path, curve: ec.EllipticCurve) -> tuple[Path, Path]:
    key = ec.generate_private_key(curve)
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_what_we_signed_holds_for_them(penstock: Run, model: Path, tmp_path: Path) -> None:
    signed = penstock("sign", "churn")
    assert signed.returncode == 0, signed.stderr
    (key,) = json.loads(penstock("keys", "list", "--json").stdout)
    public = tmp_path / "own.pem"
    public.write_text(key["public_key"])
    verify = ["verify", "key", str(model), "--signature", str(model / "model.sig"), "--public_key", str(public)]
    held = model_signing(*verify)
    assert held.returncode == 0, held.stdout + held.stderr
    (model / "conda.yaml").write_text("changed")
    assert model_signing(*verify).returncode != 0


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_what_they_signed_holds_for_us(penstock: Run, model: Path, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    private, public = make_key(tmp_path, curve)
    signed = model_signing(
        "sign", "key", str(model), "--private_key", str(private), "--signature", str(model / "model.sig")
    )
    assert signed.returncode == 0, signed.stdout + signed.stderr
    unknown = penstock("verify", "churn")
    assert unknown.returncode == 1
    assert "which is not among those that count" in unknown.stderr
    assert penstock("verify", "churn", "--key", str(public)).returncode == 0
    assert penstock("keys", "add", "the vendor", str(public)).returncode == 0
    known = penstock("verify", "churn", "--json")
    assert json.loads(known.stdout)["signed_by"] == "the vendor"
    (model / "conda.yaml").write_text("changed")
    changed = penstock("verify", "churn")
    assert changed.returncode == 1
    assert "churn is not what was signed: conda.yaml was changed" in changed.stderr
