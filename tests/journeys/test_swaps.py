"""Constant load through rollouts, aborts, killed processes and swaps: nothing fails, and an abort holds."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from journeys.load import Answer, Load
from penstock.catalogue.services import Services
from penstock.core.project.places import project_config
from penstock.processes.up import Up, start_up
from penstock.remote.discovery import HomeLock, read_owner_token
from penstock.remote.remote import open_remote
from penstock.storage.objects.open import open_object_store
from serving.models import make_logistic, write_model

PROJECT = '[project]\nname = "idle"\ntask = "binary"\n'
BODY = msgspec.json.encode([{"age": 40.0, "visits": 2}])
NAME = "churn"
STICKY_S = 5.0  # after an abort, on a busy machine


class Scene:
    """A project that is up with two gateway workers, and three versions of a model that wait for traffic."""

    def __init__(self, folder: Path, up: Up) -> None:
        self.home = folder / ".penstock"
        self.up = up
        config = project_config(folder)
        self.objects = open_object_store(config.objects_url)
        self.services: Services = open_remote(up.url, token=read_owner_token(self.home), objects=self.objects)
        self.ended: dict[int, float] = {}  # revision -> when it was aborted or rolled back
        self.back: dict[int, float] = {}  # and when it answered last, in seconds after that
        for seed in range(3):
            target = folder / f"model-{seed}"
            info = write_model(make_logistic(seed), target, "binary")
            self.services.registry.register(NAME, None, self.objects.put_tree(target), info)
        self.services.serving.deploy(NAME, NAME, 1)

    async def deploy(self, version: int, **terms: Any) -> None:
        """Bring a version into traffic."""
        await asyncio.to_thread(lambda: self.services.serving.deploy(NAME, NAME, version, **terms))

    async def promote(self) -> None:
        """Give the candidate all traffic."""
        held = await asyncio.to_thread(self.services.serving.get_deployment, NAME)
        assert held.rollout is not None
        await asyncio.to_thread(self.services.serving.promote, held.rollout)

    async def roll_back(self) -> None:
        """Abort what runs, or go back to the revision before."""
        held = await asyncio.to_thread(self.services.serving.get_deployment, NAME)
        leaving = held.candidate or held.stable
        assert leaving is not None
        await asyncio.to_thread(self.services.serving.roll_back, NAME)
        self.ended[leaving.number] = time.monotonic()

    async def kill(self, name: str) -> None:
        """Kill a process, which is started again."""
        os.kill(HomeLock(self.home / f"{name}.lock").holder, signal.SIGKILL)


@contextlib.contextmanager
def open_scene(folder: Path) -> Iterator[Scene]:
    (folder / "penstock.toml").write_text(PROJECT)
    config = msgspec.structs.replace(project_config(folder), port=0, gateway_port=0)
    with start_up(folder, config, lambda line: None, workers=2) as up:
        assert up.wait_ready()
        scene = Scene(folder, up)
        try:
            yield scene
        finally:
            scene.services.close()


def go_through_everything(folder: Path, count: int, rate: float) -> list[Answer]:
    """Every kind of rollout and of loss, under load; gives what was answered."""
    with open_scene(folder) as scene:
        load = Load(scene.up.gateway_url, f"/predict/{NAME}", BODY, count=count, rate=rate)
        asyncio.run(wait_for_all(scene, load))
        asyncio.run(
            load.run(
                (0.05, lambda: scene.deploy(2, strategy="canary", steps=(0.3, 1.0))),
                (0.15, scene.promote),
                (0.20, lambda: scene.deploy(3, strategy="canary", steps=(0.5, 1.0))),
                (0.30, scene.roll_back),
                (0.35, lambda: scene.kill("gateway-1")),
                (0.50, lambda: scene.deploy(3, strategy="shadow")),
                (0.60, scene.promote),
                (0.65, scene.roll_back),
                (0.70, lambda: scene.deploy(1)),
                (0.75, lambda: scene.kill("gateway-2")),
                (0.80, lambda: scene.kill("server")),
            )
        )
    assert sorted(scene.ended) == [3, 4]
    for revision, ended_at in scene.ended.items():
        own = [answer for answer in load.answers if answer.revision == revision]
        assert own, f"revision {revision} answered nothing at all"
        scene.back[revision] = max(answer.came_at for answer in own) - ended_at
        late = [answer for answer in own if answer.asked_at > ended_at + STICKY_S]
        assert late == [], f"revision {revision} answered {len(late)} requests after it was ended"
    print(report(load.answers, scene.back))
    return load.answers


async def wait_for_all(scene: Scene, load: Load) -> None:
    """Wait until both workers follow what was deployed."""
    for _ in range(600):
        gateways = await asyncio.to_thread(scene.services.serving.list_gateways)
        if len([held for held in gateways if held.revisions.get(NAME) == [1]]) == 2:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the gateway's workers do not follow")


def report(answers: list[Answer], back: dict[int, float]) -> str:
    took = sorted(answer.came_at - answer.sent_at for answer in answers)
    retried, shed = (sum(getattr(answer, name) > 0 for answer in answers) for name in ("broken", "shed"))
    ended = ", ".join(f"revision {number} answered last {seconds:+.2f} s after" for number, seconds in back.items())
    p50, p99 = took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    told = f"{len(answers)} answers, {retried} over a second connection, {shed} told to wait"
    return f"{told}, p50 {p50:.1f} ms, p99 {p99:.1f} ms; {ended}"


def check(answers: list[Answer], count: int) -> None:
    failed = [answer for answer in answers if answer.status != 200]
    assert failed == [], f"{len(failed)} failed, such as {failed[:3]}"
    assert len(answers) == count
    assert {answer.revision for answer in answers} == {1, 2, 3, 4, 5}


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_hundred_thousand_requests_and_none_fails(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """A part of them without --thorough."""
    count, rate = (100_000, 300) if pytestconfig.getoption("--thorough") else (4_000, 200)
    check(go_through_everything(tmp_path, count, rate), count)
