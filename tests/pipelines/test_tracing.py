"""Steps and pipelines: called as functions, and traced into a graph."""

import msgspec
import pytest

from penstock.core.errors import InvalidInputError
from penstock.pipelines.graph import (
    Candidate,
    CandidateNode,
    Data,
    FromData,
    FromMany,
    FromStep,
    FromValue,
    Graph,
    Limits,
)
from penstock.pipelines.pipeline import Pipeline
from penstock.pipelines.step import step
from pipelines import traced


def test_a_step_called_by_itself_is_just_its_function() -> None:
    assert traced.split([1, 2, 3, 4]) == ([1, 2], [3, 4])
    assert traced.fit([1, 2], rate=2.0) == 6.0


def test_tracing_runs_no_step() -> None:
    traced.CALLS.clear()
    traced.train()
    assert traced.CALLS == []


def test_the_graph_says_what_each_step_is_given() -> None:
    graph = traced.train(rate=0.1)
    split, first, second, best = graph.steps
    assert split.arguments == {"rows": FromData("numbers")}
    assert first.arguments == {"train": FromStep("split", 0), "rate": FromValue(0.1)}
    assert (second.name, second.arguments["rate"]) == ("fit_2", FromValue(0.2))
    assert best.arguments == {"models": FromMany((FromStep("fit"), FromStep("fit_2")))}
    assert first.limits == Limits(cpus=2, retries=1, cache=False, timeout_s=60)
    assert graph.candidate == CandidateNode(model=FromStep("best"), test=FromStep("split", 1), label="y")
    assert graph.reads == split.reads == {"numbers"}
    assert best.needs == {"fit", "fit_2"}


def test_a_graph_survives_being_written_as_json() -> None:
    graph = traced.train()
    assert msgspec.json.decode(msgspec.json.encode(graph), type=Graph) == graph


def test_a_pipeline_runs_in_process_on_given_tables() -> None:
    candidate = traced.train.run(numbers=[1, 2, 3, 4], rate=1.0)
    assert (candidate.model, candidate.test) == (6.0, [3, 4])


def test_a_missing_table_is_named() -> None:
    with pytest.raises(InvalidInputError, match="needs a DataFrame for its data 'numbers'"):
        traced.train.run()


def test_a_parameter_from_the_command_line_is_fitted_to_its_type() -> None:
    assert traced.train(rate="0.25", deep="true").params == {"rate": 0.25, "deep": True}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"rat": 1}, r"no parameter 'rat'; did you mean 'rate'\?"),
        ({"rate": "fast"}, "parameter 'rate' of pipeline 'train' has to be float, not 'fast'"),
        ({"rate": 1, "deep": 3}, "parameter 'deep' of pipeline 'train' has to be bool, not 3"),
    ],
)
def test_a_wrong_parameter_is_told(params: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        traced.train.trace(params)


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [
        (traced.asks_too_early, r"the result of step 'split' \[0\] is not known .* cannot be tested"),
        (traced.passes_an_object, "argument 'rate' of step 'fit' is a builtins.object"),
        (traced.returns_nothing, "returned NoneType, not a Candidate"),
        (traced.unpacks_one_value, r"cannot be unpacked; where a step gives a tuple"),
        (traced.has_a_local_step, "step 'local' is defined inside 'has_a_local_step'; move it out"),
    ],
)
def test_what_cannot_be_traced_says_what_to_do(pipeline: Pipeline, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        pipeline()


def test_a_call_that_does_not_fit_the_step_is_told_while_tracing() -> None:
    def wrong(numbers: Data) -> Candidate:
        return Candidate(traced.fit(numbers), test=numbers)  # type: ignore[call-arg]

    with pytest.raises(InvalidInputError, match="step 'fit' cannot be called like this: missing a required"):
        Pipeline(wrong)()


def test_a_step_names_each_of_its_arguments() -> None:
    def gather(*parts: int) -> int:
        return sum(parts)

    gather.__qualname__ = "gather"
    with pytest.raises(InvalidInputError, match=r"step 'gather' takes \*parts"):
        step(gather)
