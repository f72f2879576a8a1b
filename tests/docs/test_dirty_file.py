"""The page about a dirty file does what it says, from its first block to its last."""

import shlex
from pathlib import Path

import pytest

from docs.pages import ROOT, Block, blocks
from penstock.cli.main import run

PAGE = ROOT / "docs/how-to/clean-a-dirty-file.md"


def test_every_step_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = [block for block in blocks("python", "toml", "console") if block.page == PAGE]
    assert len(steps) > 10
    for step in steps:
        if step.kind == "python":
            exec(compile(step.text, step.place, "exec"), {})
        elif step.kind == "toml":
            (tmp_path / "penstock.toml").write_text(step.text)
        else:
            follow(step, capsys)
    assert (tmp_path / "bad" / "reasons.jsonl").is_file()


def follow(step: Block, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the commands of a block; what is shown below one has to be among what it says."""
    said = ""
    for line in step.text.splitlines():
        if line.startswith("$ penstock "):
            capsys.readouterr()
            code = run(shlex.split(line)[2:])
            said = capsys.readouterr().out
            assert code == int("is blocked" in said), (step.place, line, said)
        else:
            assert line in said.splitlines(), (step.place, line, said)
