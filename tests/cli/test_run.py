"""`penstock run` without a server: it tells what it does while it does it, and what can be done when it fails."""

from pathlib import Path

import pytest


def told(out: str) -> list[str]:
    """The lines without the times before them."""
    return [
        line.partition("  ")[2].split(" ", 1)[-1].strip() if line.startswith("  ") else line for line in out.split("\n")
    ]


@pytest.mark.slow
def test_a_run_tells_its_data_its_steps_and_what_is_reused(project: Path, penstock) -> None:
    first = penstock("run", "--reason", "to see it")
    assert first.code == 0, first.out
    lines = told(first.out)
    assert lines[0] == "episode 1 of churned: to see it"
    for expected in ("data      customers version 1, 60 rows", "step      split took", "step      evaluate took"):
        assert any(line.startswith(expected) for line in lines), first.out
    assert "promoted: version 1 answers all requests" in lines
    again = penstock("run")
    assert again.code == 1
    assert "split is reused" in again.out
    assert "fit is reused" in again.out
    assert "nothing was learned" in again.out
    step_fails(project, penstock)


def step_fails(project: Path, penstock) -> None:
    pipeline = project / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace("    encoder =", '    print("so far")\n    1 / 0\n    encoder =', 1)
    )
    failed = penstock("run")
    assert failed.code == 1
    assert "failed: step 'fit' failed: ZeroDivisionError" in failed.out
    run = failed.out.rpartition("'penstock runs show ")[2].partition("'")[0]
    shown = penstock("runs", "show", run)
    assert shown.code == 0
    assert "it failed: step 'fit' failed: ZeroDivisionError" in shown.out
    assert "so far" in shown.out
