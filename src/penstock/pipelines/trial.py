"""The trial of a probe: challengers made of few rows, and versions that there are, on the same rows."""

from typing import Any

from msgspec import structs

from penstock.core import codec
from penstock.pipelines.child_spec import AnyGiven, GivenStore, GivenStored, GivenValue
from penstock.pipelines.graph import AnyArgument, FromMany, FromStep, Graph, StepNode
from penstock.pipelines.probe_step import TrialSettings
from penstock.pipelines.runner import StepFailedError, StepRunner, resolve, run_graph
from penstock.pipelines.types import ProbeResult, StepRun, name_version
from penstock.pipelines.values.types import StoredValue
from penstock.registry.types import ModelVersion

_CHALLENGER = "penstock.pipelines.probe_step:try_challenger"
_VERSION = "penstock.pipelines.probe_step:try_version"


class Trial:
    """Tries one after the other, and collects what each loses.

    Args:
        graph: the project's pipeline.
        runner: runs steps of this run.
        rows: what all are tried on.
        settings: how.
        cpus: how many CPUs the steps may use together.
    """

    def __init__(
        self, graph: Graph, runner: StepRunner, *, rows: StoredValue, settings: TrialSettings, cpus: float
    ) -> None:
        self._graph = graph
        self._runner = runner
        self._rows = rows
        self._settings = settings
        self._cpus = cpus
        self._losses: dict[str, StoredValue] = {}
        self._problems: dict[str, str] = {}
        self._cpu_s: list[float] = []

    @property
    def result(self) -> ProbeResult:
        """What there is so far."""
        return ProbeResult(losses=self._losses, problems=self._problems, cpu_s=sum(self._cpu_s))

    def try_challenger(self, name: str, data: dict[str, StoredValue]) -> None:
        """Run the pipeline on some rows; its steps are called after the challenger as well, as there are several."""
        graph = tag_steps(self._graph, name)

        def run_step(number: int, node: StepNode, given: dict[str, AnyGiven]) -> StepRun:
            return self._count(self._runner.run(number, node, given))

        try:
            values = run_graph(graph, data, run_step, self._cpus)
            model = resolve(graph.candidate.model, data, values)
            self._losses[name] = self._try(name, len(graph.steps) + 1, _CHALLENGER, {"model": model})
        except StepFailedError as error:
            self._problems[name] = str(error)

    def try_version(self, version: ModelVersion, standing: Any) -> None:
        """Try a version as it is.

        Args:
            version: of the project's model.
            standing: who vouches for its code, as plain values.
        """
        name = name_version(version.version)
        given = {"tree": GivenValue(version.tree or ""), "standing": GivenValue(standing)}
        try:
            self._losses[name] = self._try(name.replace(" ", "-"), 1, _VERSION, given)
        except StepFailedError as error:
            self._problems[name] = str(error)

    def _try(self, name: str, number: int, function: str, given: dict[str, Any]) -> StoredValue:
        arguments: dict[str, AnyGiven] = {
            "objects": GivenStore(),
            "rows": GivenStored(self._rows),
            "settings": GivenValue(codec.to_builtins(self._settings)),
            **given,
        }
        node = StepNode(name=f"try@{name}", function=function, arguments={})
        done = self._count(self._runner.run(number, node, arguments))
        if done.output is None:
            raise StepFailedError(f"{name} could not be tried")
        return done.output

    def _count(self, step: StepRun) -> StepRun:
        self._cpu_s.append(step.cpu_s)  # from several threads
        return step


def tag_steps(graph: Graph, tag: str) -> Graph:
    """The same pipeline with steps of other names, as in `train@all`: several may be run in one run."""

    def rename(argument: AnyArgument) -> AnyArgument:
        if isinstance(argument, FromStep):
            return structs.replace(argument, step=f"{argument.step}@{tag}")
        if isinstance(argument, FromMany):
            return FromMany(tuple(rename(item) for item in argument.items))
        return argument

    steps = tuple(
        structs.replace(
            step,
            name=f"{step.name}@{tag}",
            arguments={name: rename(each) for name, each in step.arguments.items()},
        )
        for step in graph.steps
    )
    candidate = structs.replace(graph.candidate, model=rename(graph.candidate.model))
    return structs.replace(graph, steps=steps, candidate=candidate)
