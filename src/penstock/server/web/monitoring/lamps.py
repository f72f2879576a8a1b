"""The three lamps of a deployment as pages show them: each with its name, its state in words and a link."""

from msgspec import Struct

from penstock.monitoring.lamps import Lamp, LampState, read_lamps
from penstock.monitoring.service import LAMP_WINDOWS
from penstock.server.web.context import PageContext
from penstock.server.web.words.windows import window_page

STATES: dict[LampState, str] = {"off": "no change", "on": "changed", "unknown": "not known"}


class ShownLamp(Struct, frozen=True):
    """A lamp with its name, and where its evidence is."""

    name: str
    lamp: Lamp
    link: str  # empty where there is no window

    @property
    def says(self) -> str:
        """The state in words, for whoever does not see the colour."""
        return STATES[self.lamp.state]


def show_lamps(context: PageContext, deployment: str) -> list[ShownLamp]:
    """What `services.monitoring.get_lamps` says, from the windows that pages remember."""
    monitoring = context.services.monitoring
    windows = context.windows.read(monitoring, deployment, LAMP_WINDOWS)
    lit = read_lamps(deployment, windows, monitoring.list_alerts(deployment, "open"))
    named = (
        ("Inputs", lit.inputs),
        ("Estimated performance", lit.estimated),
        ("Measured performance", lit.measured),
    )
    return [
        ShownLamp(name, lamp, window_page(deployment, lamp.window) if lamp.window is not None else "")
        for name, lamp in named
    ]
