"""How far event time has come: the newest time that can be believed.

Closed windows, cooldowns and the ages of predictions all follow from it, so one row with a wrong clock must not move
it. A time is believed when

- it is not ahead of our own clock by more than an hour (`AHEAD`): nothing was predicted in the future (only where all
  that came is ahead is it believed all the same, as our own clock is wrong then); and
- it is not alone: another row lies within a day before it (`LONELY`), or it came within a day of when it says it was
  made, as live traffic does. What is further ahead waits until a second time confirms it.

So a client whose clock is wrong moves nothing, and a gateway whose clock is wrong can move it by an hour. A replayed
history, which lies in the past as a whole, is held to the second rule alone. The answer depends on what has come in and
on the clock, not on the order in which it came; when a clock that was wrong is set right, so is the watermark.
"""

from collections.abc import Sequence
from datetime import datetime

from penstock.predictions.event_time import LONELY


def find_watermark(settled: datetime | None, lone: Sequence[tuple[datetime, datetime]]) -> datetime | None:
    """The newest event time to be believed; None where there is none.

    Args:
        settled: the newest time that another row of its own segment confirms.
        lone: the times newer than that, each the newest of its segment, with when they arrived; newest first.
    """
    times = [at for at, _received in lone] + ([settled] if settled is not None else [])
    for place, (at, received) in enumerate(lone):
        follows = place + 1 < len(times) and at - times[place + 1] <= LONELY
        if follows or abs(received - at) <= LONELY:
            return at
    if settled is not None or not times:
        return settled
    return times[1] if len(times) > 1 else times[0]
