"""An abort or a rollback wins at every step of a rollout and stays, whoever is started again (P21)."""

from pathlib import Path

import pytest

from factories import open_database
from penstock.core.errors import ConflictError
from penstock.governance.ledger import Ledger
from penstock.loop.controller import LEASE_S, Controller
from shop_world import DAY, EVEN, PROJECT, START, Shop, open_services

WINTER = [6.0, 6.0, 6.0] + [1.0] * 9
STEPS = [0.1, 0.25, 0.5, 1.0]
FOUR_STEPS = PROJECT.replace("steps = [0.5, 1.0]", f"steps = {STEPS}").replace("min_requests = 50", "min_requests = 20")


class Scene:
    """A shop in a canary; server and controller can be started again."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder, FOUR_STEPS)
        self.controller = Controller(self.shop.services, self.shop.project, holder="c0")
        self.starts = 0
        self.day = 4
        self.shop.services.loop.open_episode("shop")
        self.settle()
        self.finish(0.5)
        for day, weights in enumerate([EVEN, WINTER, WINTER]):
            self.shop.request(START + day * DAY, 400, weights=weights)
        self.settle()
        self.shop.trained_on = WINTER
        self.finish(0.9)

    def settle(self) -> None:
        for _ in range(60):
            if not self.controller.tick():
                return
        raise AssertionError("never at rest")

    def finish(self, quality: float) -> None:
        run_id = self.shop.services.loop.list_episodes("shop")[0].run_id
        assert run_id is not None
        self.shop.finish_run(self.shop.services.pipelines.get_run(run_id), quality=quality)
        self.settle()

    def restart(self) -> None:
        """The server dies with its controller, and another one takes over the same database."""
        self.starts += 1
        self.shop.db.close()
        self.shop.db = open_database(self.shop.folder, self.shop.clock)
        Ledger(self.shop.db, None)
        self.shop.services = open_services(self.shop.db, self.shop.folder / "objects")
        self.shop.clock.advance(seconds=LEASE_S + 1)
        self.controller = Controller(self.shop.services, self.shop.project, holder=f"c{self.starts}")

    def please(self) -> None:
        """Traffic that could not be better for the candidate."""
        share = self.rollout.share
        for revision, clicks, chance in ((1, 0.3, 1 - share), (2, 0.9, share)):
            if chance > 0:
                at = START + self.day * DAY
                self.shop.request(at, 60, revision, weights=WINTER, clicks=clicks, propensity=chance)
        self.day += 1

    def reach(self, step: int) -> None:
        """Go on until the rollout is at a step."""
        for _ in range(20):
            if self.rollout.step == step:
                return
            self.please()
            self.controller.tick()
            self.restart()
        raise AssertionError(f"never at step {step}")

    @property
    def rollout(self):  # type: ignore[no-untyped-def]
        return self.shop.services.serving.list_rollouts("shop")[0]

    def served(self) -> tuple[int, bool]:
        """The version that answers, and whether another one gets any request."""
        (route,) = self.shop.services.serving.routing().deployments
        return route.stable.version, route.candidate is not None or route.shadow is not None


@pytest.mark.slow
@pytest.mark.every(4)
@pytest.mark.parametrize("end", ["abort", "roll_back", "cancel"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_what_is_taken_out_of_the_traffic_at_any_step_never_comes_back(tmp_path: Path, step: int, end: str) -> None:
    scene = Scene(tmp_path)
    scene.reach(step)
    serving = scene.shop.services.serving
    if end == "abort":
        serving.abort(scene.rollout.id, "complaints")
    elif end == "roll_back":
        serving.roll_back("shop", "complaints")
    else:
        scene.shop.services.loop.cancel_episode(scene.shop.services.loop.list_episodes("shop")[0].id)
    assert scene.served() == (1, False)  # with the very answer to whoever asked for it
    for _ in range(4):
        scene.please()
        scene.restart()
        scene.settle()
        assert scene.served() == (1, False)
    assert scene.rollout.state == "aborted"
    with pytest.raises(ConflictError):
        scene.shop.services.serving.advance(scene.rollout.id)
    champion = scene.shop.champion()
    assert champion is not None and champion.version == 1


@pytest.mark.slow
def test_a_promotion_that_is_rolled_back_stays_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for _ in range(20):
        if scene.served()[0] == 2:
            break
        scene.please()
        scene.controller.tick()
        scene.restart()
    assert scene.served() == (2, False)
    scene.shop.services.serving.roll_back("shop", "complaints")
    for _ in range(4):
        scene.please()
        scene.restart()
        scene.settle()
        assert scene.served() == (1, False)
