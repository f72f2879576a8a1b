"""What a gateway remembers of the models it may load."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.core.errors import UnavailableError
from penstock.core.ids import Digest
from penstock.registry.trust.remembered import RememberedStandings
from penstock.registry.trust.types import Standing, TrustDecision

TREE = Digest("a" * 64)


def decide(trusted: bool) -> Standing:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    decision = TrustDecision(number=1, tree=TREE, trusted=trusted, reason="looked at", actor="ada", at=at)
    return Standing(tree=TREE, decision=decision)


def away(tree: Digest) -> Standing:
    raise UnavailableError("the server is away")


def test_the_last_answer_counts_while_nobody_answers(tmp_path: Path) -> None:
    for standing in (decide(True), decide(False)):
        assert RememberedStandings(lambda tree, said=standing: said, tmp_path / "kept")(TREE) == standing
        assert RememberedStandings(away, tmp_path / "kept")(TREE) == standing
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


def test_who_never_answered_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        RememberedStandings(away, tmp_path)(TREE)
    (tmp_path / f"{TREE}.json").write_text("{")
    with pytest.raises(UnavailableError):
        RememberedStandings(away, tmp_path)(TREE)
