"""Keys of steps, and what tells two of them apart."""

from msgspec.structs import replace

from penstock.pipelines.keys import KeyParts, explain

PARTS = KeyParts(
    function="pipeline:fit",
    code={"pipeline:fit": "a", "features": "b"},
    params={"rate": 0.1, "depth": 3},
    inputs={"train": "frame:1"},
    environment="e",
    seed=0,
)


def test_equal_parts_have_one_key_in_any_order() -> None:
    turned = replace(PARTS, params={"depth": 3, "rate": 0.1})
    assert PARTS.key == turned.key
    assert explain(PARTS, turned) == []


def test_each_part_changes_the_key() -> None:
    others = [
        replace(PARTS, function="pipeline:fit_2"),
        replace(PARTS, code={"pipeline:fit": "a"}),
        replace(PARTS, params={"rate": 0.1, "depth": 4}),
        replace(PARTS, inputs={"train": "frame:2"}),
        replace(PARTS, environment="f"),
        replace(PARTS, seed=1),
    ]
    assert len({PARTS.key, *(other.key for other in others)}) == 7


def test_every_change_is_told_in_words() -> None:
    new = replace(
        PARTS,
        code={"pipeline:fit": "x", "text": "t"},
        params={"rate": 0.2, "depth": 3},
        inputs={"train": "frame:2"},
        environment="f",
        seed=1,
    )
    assert explain(PARTS, new) == [
        "code of features is gone",
        "code of pipeline:fit changed",
        "code of text is new",
        "parameter rate changed from 0.1 to 0.2",
        "input train changed",
        "the environment changed: another Python, or another version of some package",
        "the seed is 1 and was 0",
    ]
