"""How the values of a window are spread beside those of the reference, from the sketches of both."""

from penstock.catalogue.services import Services
from penstock.core.errors import PenstockError
from penstock.core.ids import Digest
from penstock.datasets.types import Spread
from penstock.monitoring.columns import find_kind
from penstock.monitoring.sketches import ColumnSketch, TableSketch, decode_sketch
from penstock.monitoring.spreads import spread_columns, spread_parts
from penstock.monitoring.types import Window
from penstock.server.web.monitoring.bins import Distribution, WindowDistributions


def read_distributions(services: Services, window: Window) -> WindowDistributions:
    """Every column that was looked at in a window."""
    if window.version is None:
        return WindowDistributions(note="no model version answered")
    reference = services.monitoring.find_reference(window.deployment, window.version)
    if reference is None or window.sketches is None:
        return WindowDistributions(note=f"version {window.version} has no reference sample")
    try:
        held, now = (_read(services, digest) for digest in (reference.sketch, window.sketches))
    except PenstockError as error:  # the window is still to be seen
        return WindowDistributions(note=str(error))
    names = [column.column for column in window.drift if column.column in held.columns and column.column in now.columns]
    columns = {name: compare_column(name, held.columns[name], now.columns[name]) for name in names}
    return WindowDistributions(columns=columns, rows=now.rows, of_rows=window.rows, reference_rows=held.rows)


def _read(services: Services, digest: Digest) -> TableSketch:
    return decode_sketch(services.objects.get_bytes(digest))


def compare_column(name: str, reference: ColumnSketch, now: ColumnSketch) -> Distribution:
    """One column of both, as bars."""
    kind, parts = find_kind(reference, now), spread_parts(reference, now)
    if kind.kind in ("none", "type") and not parts:
        return Distribution(column=name, spread=Spread((), False), note=kind.note)
    spread = spread_columns(reference, now)
    new = () if spread.is_ranges else tuple(bar.label for bar in spread.bars if not bar.before)
    missing = (reference.missing / max(reference.rows, 1), now.missing / max(now.rows, 1))
    note = "" if parts else kind.note
    return Distribution(column=name, spread=spread, new=new, parts=parts, missing=missing, note=note)
