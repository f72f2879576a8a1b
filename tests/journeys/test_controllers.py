"""Three controllers, stopped and continued, with jumping clocks and a slow store, take no step twice (P19)."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from journeys.controllers import BUSY, OFFSETS, JumpingClock
from penstock.core.errors import PenstockError
from penstock.governance.service import GovernanceService
from penstock.loop.controller import LEASE_S
from penstock.loop.types import Decision, Episode
from penstock.serving.types import Rollout
from shop_world import DAY, EVEN, START, Shop

WINTER = [6.0, 6.0, 6.0] + [1.0] * 9
NAMES = ("a", "b", "c")
MOST_OFF = 10  # lengths of a lease that a clock may be off
SLOW_STORE = "storage.leases.acquire=sleep:0.03,loop.before_decision=sleep:0.02,loop.after_decision=sleep:0.02"
ONCE = {"open", "train", "register", "pass", "refuse", "deploy", "abort", "promote", "fail", "cancel"}


class Trouble:
    """Stops and continues controllers, and makes their clocks jump, for as long as the block runs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self.stops = 0
        self.jumps = 0
        self.processes = [self._start(name) for name in NAMES]

    @contextmanager
    def running(self) -> Iterator["Trouble"]:
        thread = threading.Thread(target=self._make)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            for process in self.processes:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "journeys.controllers", str(self._folder), name]
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": paths, "PENSTOCK_FAILPOINTS": SLOW_STORE, "POLARS_MAX_THREADS": "1"}
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    def _make(self) -> None:
        while not self._ended.wait(self._chance.uniform(0.05, 0.6)):
            process = self._chance.choice(self.processes)
            assert process.poll() is None, "a controller died"
            process.send_signal(signal.SIGSTOP)
            self.stops += 1
            if self._chance.random() < 0.7:  # meanwhile another one's clock says that the lease is over
                offsets = {name: self._chance.uniform(-MOST_OFF, MOST_OFF) * LEASE_S for name in NAMES}
                partial = self._folder / f"{OFFSETS}.partial"
                partial.write_text(json.dumps(offsets))
                partial.replace(self._folder / OFFSETS)
                self.jumps += 1
            self._ended.wait(self._chance.uniform(0.05, 0.4))
            process.send_signal(signal.SIGCONT)


class World:
    """Everything around the controllers: traffic, a worker, a season that changes each time a release is through."""

    def __init__(self, folder: Path) -> None:
        # Ahead of every controller: what comes in before a rollout began, by its clock, would not count for it.
        self.shop = Shop(folder, BUSY, JumpingClock(folder, "world", offset=(MOST_OFF + 1) * LEASE_S))
        self.shop.release(0.7)
        self.trained = 0
        self.day = 0
        self.winter = False
        self.chance = random.Random(5)

    @property
    def decided(self) -> int:
        return sum(len(decisions) for _, decisions in self.stories())

    def episodes(self) -> list[Episode]:
        found = self.shop.services.loop.list_episodes("shop", limit=1_000)
        return sorted(found, key=lambda episode: episode.number)  # their times are those of jumping clocks

    def stories(self) -> list[tuple[Episode, list[Decision]]]:
        loop = self.shop.services.loop
        return [(episode, loop.get_episode(episode.id).decisions) for episode in self.episodes()]

    def turn(self) -> None:
        """Do what is due: train what is asked for, answer as the routing says, or change the season."""
        services = self.shop.services
        episode = services.loop.find_open_episode("shop")
        (route,) = services.serving.routing().deployments
        if episode is None:
            self._answer(route.stable.number, change=True)
        elif episode.state == "training" and episode.run_id is not None:
            run = services.pipelines.get_run(episode.run_id)
            if not run.status.is_terminal:
                self.shop.trained_on = WINTER if self.winter else EVEN
                self.trained += 1  # each model is another one
                quality = self.chance.choice([0.01, 0.7, 0.7, 0.7, 0.7]) + self.trained * 1e-5  # a fifth is refused
                self.shop.finish_run(run, quality=quality)
        elif route.candidate is not None:
            sick = self.chance.random() < 0.15  # and now and then one is aborted
            self._answer(route.stable.number)
            self._answer(route.candidate.number, errors=30 if sick else 0)
        else:
            time.sleep(0.05)

    def _answer(self, revision: int, *, change: bool = False, errors: int = 0) -> None:
        if change:
            champion = self.shop.champion()
            assert champion is not None
            self.winter = not self.winter
        for _ in range(3 if change else 1):
            self.shop.request(
                START + self.day * DAY,
                60 if change else 40,
                revision,
                weights=WINTER if self.winter else EVEN,
                clicks=None,
                errors=errors,
            )
            self.day += 1
        if change:
            deadline = time.monotonic() + 2
            while self.shop.services.loop.find_open_episode("shop") is None and time.monotonic() < deadline:
                time.sleep(0.05)


def check_no_double_action(world: World) -> Counter[str]:
    """Every effect stands beside exactly one decision, and no controller decided after it had lost the right."""
    services = world.shop.services
    seen: Counter[str] = Counter()
    fences: list[int] = []
    rollouts: dict[str, Rollout] = {each.id: each for each in services.serving.list_rollouts("shop", limit=1_000)}
    for episode, decisions in world.stories():
        assert [decision.number for decision in decisions] == list(range(1, len(decisions) + 1))
        actions = Counter(decision.action for decision in decisions)
        assert all(actions[action] <= 1 for action in ONCE), (episode.number, actions)
        steps = [decision.evidence["share"] for decision in decisions if decision.action == "advance"]
        assert len(set(steps)) == len(steps), (episode.number, steps)
        fences += [decision.fence for decision in decisions]
        seen += actions
        if episode.rollout_id is not None:
            rollout = rollouts.pop(episode.rollout_id)
            assert (rollout.state == "aborted") == bool(actions["abort"]), (episode.number, rollout.state, actions)
    assert fences == sorted(fences)
    runs = services.pipelines.list_runs("shop", limit=1_000)
    episodes_of_runs = [run.episode for run in runs if run.episode]
    assert len(set(episodes_of_runs)) == len(episodes_of_runs) == seen["train"]
    versions = services.registry.list_versions("shop")
    assert len(versions) == seen["register"] + 1
    crowned = [move for move in services.registry.alias_history("shop") if move.alias == "champion" and move.after]
    assert len(crowned) == seen["promote"] + 1  # and the first release
    assert len(rollouts) == 1  # that of the first release, which no episode asked for
    return seen


def play(folder: Path, decisions: int, seed: int) -> None:
    world = World(folder)
    with Trouble(folder, seed).running() as trouble:
        deadline = time.monotonic() + decisions * 10
        while world.decided < decisions:
            assert time.monotonic() < deadline, [(e.number, e.state) for e in world.episodes()][-5:]
            try:
                world.turn()
            except PenstockError as error:  # as a worker or a gateway would, it tries again
                print("the world tries again:", error)
    seen = check_no_double_action(world)
    handovers = len({decision.fence for _, decided in world.stories() for decision in decided})
    print(f"{sum(seen.values())} decisions {dict(seen)}")
    print(f"{trouble.stops} stops, {trouble.jumps} jumps of clocks, {handovers} times another one held the lease")
    assert handovers >= max(2, decisions / 100)
    assert GovernanceService(world.shop.db).verify_audit().is_whole


@pytest.mark.slow
@pytest.mark.sqlite
@pytest.mark.timeout(7_200)  # a thousand decisions on a busy machine
def test_three_controllers_take_no_step_twice(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    play(tmp_path, 1_000 if request.config.getoption("--thorough") else 40, seed=1)
