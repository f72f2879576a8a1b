"""Opens incidents from what speaks now, and sends what is due: on a thread of its own, under a lease.

Whatever is slow or broken on the other side costs this thread time and nobody else. A message is written into the
outbox with an id that incident, step and rule give it, so that of several servers, or of one that is killed and
started again, each message is there once; it is sent at least once, always with that id.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from penstock.core import failpoints
from penstock.core.errors import ConflictError, PenstockError
from penstock.core.project.types import Project
from penstock.monitoring.incidents.channels.channel import Channel, DeliveryError
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.incidents.types import Delivery, Signal
from penstock.storage.leases import Lease, release_lease

log = logging.getLogger(__name__)

LEASE_S = 120.0  # more than all that one look may send takes
BUDGET_S = 30.0  # of one channel in one look; what is left over waits for the next
CHANNELS_AT_ONCE = 8

Source = Callable[[], list[Signal]]


class Dispatcher:
    """Keeps one project's incidents and outbox. Not safe to share between threads; of several, one works at a time.

    Args:
        incidents: the service.
        project: whose rules.
        channels: by the label of their rule.
        sources: what speaks now; see `Signal`.
        holder: names this dispatcher; no other that lives has the name.
        url: where people reach the server.
    """

    def __init__(
        self,
        incidents: IncidentService,
        project: Project,
        channels: Mapping[str, Channel],
        sources: Sequence[Source],
        *,
        holder: str,
        url: str,
    ) -> None:
        self._incidents = incidents
        self._project = project
        self._channels = dict(channels)
        self._sources = list(sources)
        self._holder = holder
        self._url = url
        self._lease: Lease | None = None

    def tick(self) -> bool:
        """Look at what speaks, write down what is to be said, and say it; returns whether anything was done.

        Raises:
            UnavailableError: the database cannot be reached just now; try again later.
        """
        lease = self._hold()
        if lease is None:
            return False
        try:
            changed = self._keep_incidents(lease.fence)
            return self._send_due(lease.fence) or changed
        except ConflictError as error:  # somebody else has the lease now
            log.info("alerts are sent by another server", extra={"reason": str(error)})
            self._lease = None
            return False

    def release(self) -> None:
        """Let another dispatcher work at once; this one would begin anew."""
        held, self._lease = self._lease, None
        if held is None:
            return
        with contextlib.suppress(PenstockError):  # then it ends by itself
            self._incidents.db.write(release_lease, held.name, held.fence)

    def _hold(self) -> Lease | None:
        now, held = self._incidents.db.clock.now(), self._lease
        if held is None or (held.expires_at - now).total_seconds() < LEASE_S / 2:
            self._lease = self._incidents.hold_lease(self._project.name, self._holder, LEASE_S)
        return self._lease

    def _keep_incidents(self, fence: int) -> bool:
        name = self._project.name
        signals = [signal for source in self._sources for signal in source()]
        changed = self._incidents.needs_changes(name, signals)
        if changed:
            self._incidents.apply_signals(name, signals, fence)
        if self._incidents.find_due_messages(self._project, self._url):
            self._incidents.put_into_outbox(self._project, self._url, fence)
            return True
        return changed

    def _send_due(self, fence: int) -> bool:
        due = self._incidents.list_due(self._project.name)
        if not due:
            return False
        by_rule: dict[str, list[Delivery]] = {}
        for delivery in due:
            by_rule.setdefault(delivery.rule, []).append(delivery)
        with ThreadPoolExecutor(CHANNELS_AT_ONCE, thread_name_prefix="alerts") as pool:
            for done in [pool.submit(self._send_all, queue, fence) for queue in by_rule.values()]:
                done.result()
        return True

    def _send_all(self, queue: list[Delivery], fence: int) -> None:
        """What waits for one channel, in order."""
        clock = self._incidents.db.clock
        deadline = clock.monotonic() + BUDGET_S
        for delivery in queue:
            if clock.monotonic() > deadline:
                return
            self._send(delivery, fence)

    def _send(self, delivery: Delivery, fence: int) -> None:
        error, give_up = "", False
        try:
            self._find_channel(delivery).send(delivery)
            failpoints.hit("alerts.after_send")
        except DeliveryError as failure:
            error, give_up = str(failure), failure.is_final
            extra = {"rule": delivery.rule, "delivery": delivery.id, "error": error}
            log.warning("an alert could not be sent", extra=extra)
        self._incidents.note_try(delivery, fence, error, give_up)

    def _find_channel(self, delivery: Delivery) -> Channel:
        channel = self._channels.get(delivery.rule)
        if channel is None:
            raise DeliveryError(f"the project file has no alert called {delivery.rule!r} any more", is_final=True)
        return channel
