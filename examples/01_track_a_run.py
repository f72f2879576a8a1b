"""Track a run: params, metrics step by step, and a file; then read them back.

Any folder will do as a place to keep runs; here it is a temporary one.
"""

import tempfile
from pathlib import Path

import penstock as ps


def main(folder: Path) -> None:
    services = ps.connect(folder)
    with ps.start_run("first-steps", name="example", params={"learning_rate": 0.1}, seed=0, services=services) as run:
        for step in range(5):
            run.log(step=step, loss=1 / (step + 1))
        note = folder / "note.txt"
        note.write_text("what this run was about\n")
        run.log_artifact(note)

    found = services.tracking.get_run(run.id)
    print(f"{found.name}: {found.status.value}, params {found.params}")
    for point in services.tracking.metric_history(run.id, "loss").points:
        print(f"  step {point.step}: loss {point.number:.3f}")
    print("artifacts:", [artifact.path for artifact in services.artifacts.list_artifacts(run.id)])
    services.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
