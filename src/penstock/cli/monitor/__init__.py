"""`penstock monitor`: how the live model is doing, and how far the watching can be trusted."""

from typing import Any, ClassVar

from penstock.cli.apps import LazyGroup, group_app

_TEXTS = {
    "windows": "Inputs that moved, measured performance, alerts; the name may be left out.",
    "calibrate": "How often the watches of this project raise false alarms.",
    "import": "Watch a model that is served elsewhere: log its predictions from files.",
}


class MonitorGroup(LazyGroup):
    """Its commands; without a name of one of them it is `windows`."""

    package = __name__
    files: ClassVar = {name: name for name in _TEXTS} | {"import": "imports"}
    texts: ClassVar = _TEXTS
    usual: ClassVar = "windows"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the name of the command where that was left out."""
        is_named = bool(args) and (args[0] in self.files or args[0] == "--help")
        return super().parse_args(ctx, args if is_named else [self.usual, *args])


app = group_app("How the live model is doing, and how far the watching can be trusted.", MonitorGroup)
