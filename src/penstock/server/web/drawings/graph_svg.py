"""Draws a lineage graph as SVG; every box leads to the page of its thing."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from penstock.core.ids import Ref
from penstock.governance.types import LineageEdge
from penstock.server.web.drawings.graph import BOX_HEIGHT, BOX_WIDTH, MARGIN, Arrow, Node, arrange, build_graph

MOST_NAMED_ARROWS = 30
NAME_LENGTH = 26


def draw_lineage(start: Ref, edges: Sequence[LineageEdge]) -> Markup:
    """What one thing came from, and what came from it."""
    graph = build_graph(start, edges)
    if not graph.arrows:
        return Markup('<p class="empty">Nothing is known upstream or downstream yet.</p>')
    places = arrange(graph)
    width = max(x for x, _ in places.values()) + BOX_WIDTH + MARGIN
    height = max(y for _, y in places.values()) + BOX_HEIGHT + MARGIN
    is_named = len(graph.arrows) <= MOST_NAMED_ARROWS
    arrows = "".join(_arrow(arrow, places, is_named=is_named) for arrow in graph.arrows)
    boxes = "".join(_box(node, *places[node.id], is_start=node.id == str(start)) for node in graph.nodes.values())
    more = f'<p class="small soft">{graph.left_out} more are in the table.</p>' if graph.left_out else ""
    return Markup(
        f'<div class="scroll"><svg class="graph" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="group" aria-label="Lineage of {escape(start)}">{arrows}{boxes}</svg></div>{more}'
    )


def _arrow(arrow: Arrow, places: Mapping[str, tuple[float, float]], *, is_named: bool) -> str:
    (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
    x1, x2, y1 = x1 + BOX_WIDTH / 2, x2 + BOX_WIDTH / 2, y1 + BOX_HEIGHT
    bend = max((y2 - y1) / 2, 16.0)
    path = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2 - 5:.0f}"
    head = f"M{x2 - 4:.0f} {y2 - 6:.0f} l4 6 l4 -6 Z"
    told = escape(arrow.relation)
    name = f'<text x="{x1 + (x2 - x1) * 0.6:.0f}" y="{y1 + (y2 - y1) * 0.6 + 3:.0f}" text-anchor="middle">{told}</text>'
    return f'<g class="arrow"><path d="{path}"/><path class="head" d="{head}"/>{name if is_named else ""}</g>'


def _box(node: Node, x: float, y: float, *, is_start: bool) -> str:
    name = node.name if len(node.name) <= NAME_LENGTH else f"{node.name[: NAME_LENGTH - 1]}…"
    css = " start" if is_start else " several" if node.count > 1 else ""
    drawn = (
        f'<g class="node{css}"><rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text class="kind" x="{x + 12:.0f}" y="{y + 18:.0f}">{escape(node.kind)}</text>'
        f'<text x="{x + 12:.0f}" y="{y + 34:.0f}">{escape(name)}</text><title>{escape(node.id)}</title></g>'
    )
    return f'<a href="{escape(node.page)}">{drawn}</a>' if node.page else drawn
