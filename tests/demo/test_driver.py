"""Driving weeks: arms, outcomes, and going on after an interruption as if there had been none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.offline import OfflinePenstock
from penstock.core.errors import ConflictError
from penstock.demo.book import Book, DemoSettings
from penstock.demo.driver import Driver
from penstock.demo.port import Ask, Reply
from penstock.demo.scaffold import write_shop
from penstock.demo.shop import SimulatedShop
from penstock.demo.simulator import ShopSettings
from penstock.demo.source import Score

SETTINGS = ShopSettings(customers=500, goods=100, weeks=10)


class Interrupted(OfflinePenstock):
    """Is interrupted after so many requests."""

    def __init__(self, root: Path, after: int) -> None:
        super().__init__(root)
        self.after = after

    def predict(self, asked: Sequence[Ask]) -> list[Reply]:
        if len(self.asked) + len(asked) > self.after:
            raise KeyboardInterrupt
        return super().predict(asked)


def drive(root: Path, penstock: OfflinePenstock) -> list[Score]:
    source = SimulatedShop(SETTINGS)
    driver = Driver(source, penstock, Book(root), lambda line: None)
    driver.warm_up()
    return [score for week in range(source.warm_up, source.weeks) for score in driver.run_week(week)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_shop(tmp_path / "shop")
    return tmp_path / "shop"


@dataclass(frozen=True)
class Driven:
    """A demo, and what it measured."""

    root: Path
    penstock: OfflinePenstock
    scores: list[Score]


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """A demo that has come to its end."""
    root = tmp_path_factory.mktemp("demo") / "shop"
    write_shop(root)
    penstock = OfflinePenstock(root)
    return Driven(root, penstock, drive(root, penstock))


def test_each_customer_is_measured_in_the_own_arm_alone_and_only_the_loop_asks_the_endpoint(driven: Driven) -> None:
    scores, penstock = driven.scores, driven.penstock
    arms = {(score.user, score.arm) for score in scores}
    assert len({user for user, _ in arms}) == len(arms)
    assert {arm for _, arm in arms} == {"loop", "frozen", "popularity"}
    assert len(penstock.asked) == sum(score.arm == "loop" for score in scores)
    assert len(penstock.outcomes) == len(penstock.asked)
    assert all(outcome.value for outcome in penstock.outcomes.values())


def test_requests_carry_event_time_and_leave_out_what_is_sold_out(driven: Driven) -> None:
    penstock = driven.penstock
    source = SimulatedShop(SETTINGS)
    assert [ask.at for ask in penstock.asked] == sorted(ask.at for ask in penstock.asked)
    assert penstock.asked[0].at >= source.week_start(source.warm_up)
    assert set(penstock.asked[0].exclude) == source.sold_out(source.warm_up)


def test_before_the_first_retraining_the_loop_is_the_frozen_model(root: Path) -> None:
    penstock = OfflinePenstock(root, cooldown=999)
    drive(root, penstock)
    ask = penstock.asked[0]
    frozen = penstock.load_first().suggest(ask.inputs["recent"].split())[0]
    assert penstock.predict([ask])[0].items == [item for item in frozen if item not in ask.exclude][:20]


@pytest.mark.slow
def test_an_interrupted_demo_goes_on_and_ends_as_if_it_had_not_been(root: Path, tmp_path: Path) -> None:
    write_shop(tmp_path / "other")
    whole = drive(tmp_path / "other", OfflinePenstock(tmp_path / "other", cooldown=999))
    with pytest.raises(KeyboardInterrupt):
        drive(root, Interrupted(root, after=64))
    assert len(Book(root).replies(8)) == 64
    again = OfflinePenstock(root, cooldown=999)
    assert drive(root, again) == whole
    assert len(again.asked) < sum(score.arm == "loop" for score in whole)


def test_a_finished_demo_asks_nothing_more(driven: Driven) -> None:
    again = OfflinePenstock(driven.root)
    assert drive(driven.root, again) == driven.scores
    assert not again.asked


def test_a_torn_line_of_an_interruption_is_passed_over(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.note_replies(8, {"ann": Reply("p-1", ["cup"])})
    with (tmp_path / "demo" / "answers-008.jsonl").open("ab") as file:
        file.write(b'["bob",{"predic')
    assert book.replies(8) == {"ann": Reply("p-1", ["cup"])}


def test_a_folder_with_another_demo_is_not_touched(tmp_path: Path) -> None:
    settings = DemoSettings(source="simulator", seed=7, weeks=30)
    Book(tmp_path).open(settings)
    Book(tmp_path).open(settings)
    with pytest.raises(ConflictError, match="other settings"):
        Book(tmp_path).open(DemoSettings(source="simulator", seed=8, weeks=30))


def test_a_folder_with_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="holds something else"):
        write_shop(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_project_that_was_changed_by_hand_is_left_as_it_is(root: Path) -> None:
    (root / "pipeline.py").write_text("# mine")
    write_shop(root)
    assert (root / "pipeline.py").read_text() == "# mine"
