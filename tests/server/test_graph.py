"""The lineage drawing: layers, twins in one box, nothing drawn twice, and no end of things without an end."""

from datetime import UTC, datetime
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.ids import Ref
from penstock.governance.types import LineageEdge
from penstock.server.web.drawings.graph import BOX_HEIGHT, BOX_WIDTH, MOST_NODES, arrange, build_graph
from penstock.server.web.drawings.graph_svg import draw_lineage

AT = datetime(2026, 1, 1, tzinfo=UTC)


def edges(*pairs: tuple[str, str]) -> list[LineageEdge]:
    return [
        LineageEdge(source=Ref.parse(source), target=Ref.parse(target), relation="made", at=AT, event=1)
        for source, target in pairs
    ]


def test_each_thing_stands_below_what_it_came_from() -> None:
    graph = build_graph(
        Ref.parse("run:r"),
        edges(
            ("source:s", "data:d"),
            ("data:d", "run:r"),
            ("data:e", "run:r"),
            ("run:r", "model:m"),
            ("data:d", "model:m"),
        ),
    )
    places = arrange(graph)
    for arrow in graph.arrows:
        assert places[arrow.source][1] < places[arrow.target][1]
    assert places["data:d"][1] == places["data:e"][1]


def test_many_that_are_alike_share_a_box() -> None:
    pairs = [("revision:a/1", f"segment:{number}") for number in range(500)] + [("revision:a/1", "deployment:a")]
    graph = build_graph(Ref.parse("revision:a/1"), edges(*pairs))
    assert sorted(node.name for node in graph.nodes.values()) == ["500 segments", "a", "a 1"]
    assert len(graph.arrows) == 2


def test_what_is_asked_about_never_hides_among_its_twins() -> None:
    pairs = [("revision:a/1", f"segment:{number}") for number in range(9)]
    graph = build_graph(Ref.parse("segment:3"), edges(*pairs))
    assert "segment:3" in graph.nodes


def test_of_too_many_things_the_nearest_are_drawn() -> None:
    pairs = [(f"run:{number}", f"run:{number + 1}") for number in range(MOST_NODES * 2)]
    graph = build_graph(Ref.parse("run:0"), edges(*pairs))
    assert len(graph.nodes) == MOST_NODES
    assert graph.left_out == MOST_NODES + 1
    assert "run:0" in graph.nodes
    assert f"{MOST_NODES + 1} more are in the table" in draw_lineage(Ref.parse("run:0"), edges(*pairs))


def test_a_thing_without_relations_says_so() -> None:
    assert "Nothing is known" in draw_lineage(Ref.parse("run:r"), [])


def test_names_are_escaped_and_boxes_lead_to_pages() -> None:
    drawing = draw_lineage(Ref.parse("run:r"), edges(('source:<b>&"', "run:r")))
    links = [element.attrib["href"] for element in ElementTree.fromstring(drawing).iter("a")]
    assert sorted(links) == ["/lineage/source:%3Cb%3E%26%22", "/runs/r"]


NODES = st.integers(0, 14).map(lambda number: f"run:{number}")


@given(st.lists(st.tuples(NODES, NODES).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=40))
def test_boxes_never_overlap_even_where_relations_run_in_a_circle(pairs: list[tuple[str, str]]) -> None:
    graph = build_graph(Ref.parse(pairs[0][0]), edges(*pairs))
    places = list(arrange(graph).values())
    for number, (x, y) in enumerate(places):
        for other_x, other_y in places[number + 1 :]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT
