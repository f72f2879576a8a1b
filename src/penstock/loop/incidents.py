"""What the loop says of incidents: an episode that failed, or a monitor that does, needs a person."""

from datetime import datetime

from penstock.loop.service import LoopService
from penstock.loop.types import Episode
from penstock.monitoring.incidents.labels import ALERT_PREFIX
from penstock.monitoring.incidents.types import Signal


class FailedEpisodes:
    """The newest episode of a project as a signal, when it failed.

    Args:
        loop: the episodes.
        project: whose.
    """

    def __init__(self, loop: LoopService, project: str) -> None:
        self._loop = loop
        self._project = project

    def __call__(self) -> list[Signal]:
        """What speaks now, and what ended and why."""
        ended = [episode for episode in self._loop.list_episodes(self._project, limit=3) if not episode.is_open]
        failed = [episode for episode in ended if episode.state == "failed" and not self._is_cancelled(episode)]
        return [_signal(episode, is_newest=episode is ended[0]) for episode in failed]

    def _is_cancelled(self, episode: Episode) -> bool:
        """Whether a person ended it, who knows."""
        return self._loop.get_episode(episode.id).decisions[-1].action == "cancel"


class StuckLoop:
    """What keeps a project's loop from knowing what it should, as a signal.

    Args:
        loop: where controllers say so.
        project: whose.
    """

    def __init__(self, loop: LoopService, project: str) -> None:
        self._loop = loop
        self._project = project

    def __call__(self) -> list[Signal]:
        """What speaks now; nothing while all is well."""
        look = self._loop.find_look(self._project)
        if look is None or not look.problem:
            return []
        signal = Signal(
            key=f"loop:{self._project}",
            deployment=self._project,
            kind="loop",
            severity="page",  # nobody watches the model
            since=look.at,
            until=look.at,
            summary=f"the model is not watched: {look.problem}",
        )
        return [signal]


def _signal(episode: Episode, *, is_newest: bool) -> Signal:
    since: datetime = episode.as_of or episode.started_at
    until = (episode.ended_as_of if episode.as_of else episode.ended_at) or since
    return Signal(
        key=f"episode:{episode.id}",
        deployment=episode.project,
        kind="episode",
        follows=f"{ALERT_PREFIX}:{episode.alert_id}" if episode.alert_id else "",
        since=since,
        until=max(since, until),
        summary=f"episode {episode.number} ({episode.trigger}) failed, and the model stays as it is: {episode.summary}",
        evidence={"episode": episode.id, "run": episode.run_id},
        ended="" if is_newest else "a later episode has ended",
    )
