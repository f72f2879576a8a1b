"""A lineage graph in layers: which boxes there are, and where each stands; what came first stands on top."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from penstock.core.ids import Ref
from penstock.governance.types import LineageEdge
from penstock.server.web.words.refs import name_ref

BOX_WIDTH, BOX_HEIGHT = 186, 44
GAP_X, GAP_Y, MARGIN = 20, 46, 6
MOST_NODES = 60
MOST_TWINS = 3  # alike in kind and neighbours, such as the segments of a revision: more of them share a box
SWEEPS = 6


class Node(Struct, frozen=True):
    """A box: one thing, or several that are alike."""

    id: str
    kind: str
    name: str
    page: str = ""  # empty for several
    count: int = 1


class Arrow(Struct, frozen=True, order=True):
    """An arrow between two boxes, by their ids."""

    source: str
    target: str
    relation: str


class Graph(Struct, frozen=True):
    """Boxes and arrows; `left_out` counts the things that were too far away to be drawn."""

    nodes: dict[str, Node]
    arrows: list[Arrow]
    left_out: int = 0


def build_graph(start: Ref, edges: Iterable[LineageEdge]) -> Graph:
    """The boxes and arrows of a lineage, things that are alike put together, those near the start first."""
    arrows = sorted({Arrow(str(edge.source), str(edge.target), edge.relation) for edge in edges})
    boxes = _put_together(arrows, str(start))
    joined = sorted({Arrow(boxes[a.source].id, boxes[a.target].id, a.relation) for a in arrows})
    nodes = {node.id: node for node in boxes.values()}
    near = _nearest(str(start), joined)[:MOST_NODES]
    return Graph(
        {name: nodes[name] for name in near if name in nodes},
        [arrow for arrow in joined if arrow.source in near and arrow.target in near],
        sum(node.count for name, node in nodes.items() if name not in near),
    )


def arrange(graph: Graph) -> dict[str, tuple[float, float]]:
    """Where each box stands: by layers from top to bottom, each layer ordered by the middle of its neighbours."""
    layers: dict[int, list[str]] = {}
    for name, layer in sorted(_find_layers(graph).items(), key=lambda item: item[1]):
        layers.setdefault(layer, []).append(name)
    neighbours = _neighbours(graph.arrows)
    for sweep in range(SWEEPS):
        for layer in sorted(layers, reverse=sweep % 2 == 1):
            order = {name: place for held in layers.values() for place, name in enumerate(held)}
            layers[layer].sort(key=lambda name, order=order: _middle(name, neighbours, order))  # type: ignore[misc]
    widest = max(len(held) for held in layers.values())
    step_x, step_y = BOX_WIDTH + GAP_X, BOX_HEIGHT + GAP_Y
    return {
        name: (MARGIN + (place + (widest - len(held)) / 2) * step_x, MARGIN + layer * step_y)
        for layer, held in layers.items()
        for place, name in enumerate(held)
    }


def _put_together(arrows: Sequence[Arrow], start: str) -> dict[str, Node]:
    """A box for each thing; twins beyond a few share one."""
    sources: dict[str, set[tuple[str, str]]] = {}
    targets: dict[str, set[tuple[str, str]]] = {}
    for arrow in arrows:
        sources.setdefault(arrow.target, set()).add((arrow.source, arrow.relation))
        targets.setdefault(arrow.source, set()).add((arrow.target, arrow.relation))
    twins: dict[object, list[str]] = {}
    for name in sorted({start, *sources, *targets}):
        alike = (name == start, name_ref(name).kind, *(frozenset(held.get(name, ())) for held in (sources, targets)))
        twins.setdefault(alike, []).append(name)
    boxes: dict[str, Node] = {}
    for names in twins.values():
        first = name_ref(names[0])
        if len(names) > MOST_TWINS:
            shared = Node(f"{names[0]} and more", first.kind, f"{len(names)} {first.kind}s", count=len(names))
            boxes |= dict.fromkeys(names, shared)
        else:
            boxes |= {name: Node(name, first.kind, name_ref(name).name, name_ref(name).page) for name in names}
    return boxes


def _nearest(start: str, arrows: Sequence[Arrow]) -> list[str]:
    neighbours = _neighbours(arrows)
    found, frontier = [start], [start]
    while frontier:
        frontier = sorted({name for held in frontier for name in neighbours.get(held, ())} - set(found))
        found += frontier
    return found


def _neighbours(arrows: Iterable[Arrow]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for arrow in arrows:
        held.setdefault(arrow.source, []).append(arrow.target)
        held.setdefault(arrow.target, []).append(arrow.source)
    return held


def _find_layers(graph: Graph) -> dict[str, int]:
    """The longest way from a source; a source itself stands right before the first thing that came from it."""
    layers = dict.fromkeys(graph.nodes, 0)
    for _ in graph.nodes:  # as often as the longest way can be, should the edges ever hold a circle
        moved = [arrow for arrow in graph.arrows if layers[arrow.target] <= layers[arrow.source]]
        for arrow in moved:
            layers[arrow.target] = layers[arrow.source] + 1
        if not moved:
            break
    inner = {arrow.target for arrow in graph.arrows}
    for name in graph.nodes:
        after = [layers[arrow.target] for arrow in graph.arrows if arrow.source == name]
        if name not in inner and after:
            layers[name] = min(after) - 1
    return layers


def _middle(name: str, neighbours: Mapping[str, Sequence[str]], order: Mapping[str, int]) -> float:
    places = [order[other] for other in neighbours.get(name, ())]
    return sum(places) / len(places) if places else 0.0
