"""One run from claim to candidate: read the data, trace, run the steps, examine the candidate."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import structs

from penstock.core import codec
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.project.types import Project
from penstock.datasets.ingest import add_version
from penstock.datasets.types import DatasetVersion
from penstock.evaluation.types import Report, seal
from penstock.pipelines.child_spec import AnyGiven, ChildSpec, GivenStore, GivenValue
from penstock.pipelines.claim import Claim
from penstock.pipelines.code import ProjectCode
from penstock.pipelines.evaluate_step import ExaminedCandidate, ExamSettings
from penstock.pipelines.graph import Graph, Limits, StepNode
from penstock.pipelines.port import WorkPort
from penstock.pipelines.probe_step import TrialSettings
from penstock.pipelines.runner import CHAMPION_MODEL, StepFailedError, StepRunner, resolve, run_graph
from penstock.pipelines.trial import Trial
from penstock.pipelines.types import CandidateRecord, Probe, ProbeResult, RowSpan
from penstock.pipelines.values import rows
from penstock.pipelines.values.rows import Rows
from penstock.pipelines.values.stored import load_value
from penstock.pipelines.values.types import StoredValue
from penstock.pipelines.workplace import Workplace
from penstock.registry.trust.types import Standing
from penstock.registry.types import CHAMPION, ModelVersion
from penstock.stats.metrics import primary_metric
from penstock.tracking.capture import capture_source
from penstock.tracking.types import Metric

log = logging.getLogger(__name__)
EVALUATE = "evaluate"
_EVALUATE_FUNCTION = "penstock.pipelines.evaluate_step:evaluate_candidate"


class Execution:
    """Brings one claimed run to its candidate. What was done before, by this or another worker, is not done again."""

    def __init__(
        self, port: WorkPort, place: Workplace, project: Project, claim: Claim, graphs: dict[str, Graph]
    ) -> None:
        """Args: `graphs` are those traced before, which hold as long as code and parameters are the same."""
        self._graphs = graphs
        self._port = port
        self._place = place
        self._project = project
        self._claim = claim
        self._run = claim.run
        self._seed = project.pipeline.seed
        self._code = ProjectCode(place.root)
        self._entry_module = project.pipeline.entry.partition(":")[0]

    def execute(self) -> CandidateRecord:
        """Do it.

        Raises:
            HaltedError: the run has to be left.
            PenstockError: the run failed; the message says why.
        """
        graph = self._trace()
        chosen, runner = self._begin(graph, {"": self._run.rows})
        data = chosen[""]
        values = run_graph(graph, data, runner.run, self._place.compute.cpus)
        return self._examine(graph, data, values, runner)

    def probe(self, probe: Probe) -> ProbeResult:
        """Try challengers and versions on the same rows; one that cannot be tried is a problem of its own.

        Raises:
            HaltedError: the run has to be left.
            PenstockError: the run failed; the message says why.
        """
        graph = self._trace()
        data, runner = self._begin(graph, probe.spans, probe.most)
        trial = Trial(
            graph,
            runner,
            rows=StoredValue(kind="frame", digest=probe.table),
            settings=self._trial_settings(self._label(graph)),
            cpus=self._place.compute.cpus,
        )
        for name, chosen in data.items():
            trial.try_challenger(name, chosen)
        for number in probe.versions:
            version = self._claim.call(self._port.registry.get_version, self._project.name, number)
            trial.try_version(version, self._find_standing(version))
        return trial.result

    def _begin(
        self, graph: Graph, spans: Mapping[str, RowSpan | None], most: int | None = None
    ) -> tuple[dict[str, dict[str, StoredValue]], StepRunner]:
        """Note what the run is started from; returns the rows of each span by name of their data, and a runner."""
        versions = {name: self._ingest(name) for name in sorted(graph.reads)}
        source = capture_source(self._place.root, seed=self._seed, keep=self._place.objects.put_bytes)
        refs = [version.ref for version in versions.values()]
        data = {
            span_name: {name: self._choose_rows(version, span, most) for name, version in versions.items()}
            for span_name, span in spans.items()
        }
        if graph.goes_on and (model := self._find_champion_model()) is not None:
            for held in data.values():
                held[CHAMPION_MODEL] = model
        given = sorted({digest for held in data.values() for chosen in held.values() for digest in chosen.digests})
        begin = self._port.pipelines.begin_run
        self._claim.call(begin, self._run.id, self._run.fence, source, graph.params, refs, given)
        runner = StepRunner(
            self._place,
            self._claim,
            run_id=self._run.id,
            environment=source.environment_lock or "",
            seed=self._seed,
            halt=self._claim.halt,
            libraries=self._code.libraries(self._entry_module, with_steps=True),
        )
        return data, runner

    def _trace(self) -> Graph:
        pipeline = self._project.pipeline
        params = {**pipeline.params, **self._run.params}
        code = self._code.fingerprint(self._entry_module)
        key = codec.encode_text([pipeline.entry, params, code])
        if key not in self._graphs:
            self._graphs[key] = self._trace_anew(params)
        return self._graphs[key]

    def _trace_anew(self, params: dict[str, Any]) -> Graph:
        pipeline = self._project.pipeline
        folder = self._place.folder(self._run.id, "trace")
        spec = ChildSpec(
            name="trace",
            function=pipeline.entry,
            root=str(self._place.root),
            trace=params,
            store=self._place.address,
            seed=self._seed,
            result=str(folder / "result.json"),
        )
        libraries = self._code.libraries(self._entry_module)
        answer, _ = self._place.run_child(self._run.id, spec, Limits(), self._claim.halt, libraries=libraries)
        if answer.graph is None:
            self._claim.keep_log("trace", folder / "log.txt")
            raise StepFailedError(f"the pipeline {pipeline.entry!r} cannot be traced: {answer.error}")
        return answer.graph

    def _ingest(self, name: str) -> DatasetVersion:
        section = self._project.data.get(name)
        if section is None:
            known = ", ".join(self._project.data) or "none"
            hint = f"add [data.{name}] to penstock.toml; it has: {known}"
            raise InvalidInputError(f"the pipeline reads data {name!r}, which the project does not have", hint=hint)
        root = self._place.root
        return self._claim.call(add_version, self._port.datasets, self._place.objects, name, section, root)

    def _choose_rows(self, version: DatasetVersion, span: RowSpan | None, most: int | None) -> StoredValue:
        if version.time_end is None:  # no column of time to choose by: what is looked up
            return rows.write(Rows(version), self._place.objects)
        key = self._project.deploy.key
        by = key if key in version.schema.names else None
        chosen = span or self._read_strategy(version.time_end)
        until = min(filter(None, (chosen.until, self._run.until)), default=None)
        found = Rows(version, chosen.since, until, half_life=chosen.half_life, most=most, by=by)
        return rows.write(found, self._place.objects)

    def _read_strategy(self, newest: datetime) -> RowSpan:
        """What the project's file says; where a probe was to say it and there was none, all rows."""
        until, retrain = self._run.until, self._project.retrain
        if retrain.window is None or retrain.strategy == "auto":
            return RowSpan()
        if retrain.strategy == "weighted":
            return RowSpan(half_life=retrain.window)
        end = newest if until is None else min(newest, until)
        return RowSpan(since=end - retrain.window)

    def _find_champion_model(self) -> StoredValue | None:
        """What the pipeline's step returned when the present champion was made; None where no run of ours made it."""
        champion = self._find_champion()
        if champion is None or champion.run_id is None:
            return None
        steps = self._claim.call(self._port.pipelines.list_steps, champion.run_id)
        made = next((step.parts.inputs.get("model") for step in steps if step.name == EVALUATE), None)
        outputs = (value for step in steps if step.output is not None for value in (step.output, *step.output.items))
        return next((value for value in outputs if value.identity == made), None)

    def _examine(
        self, graph: Graph, data: dict[str, StoredValue], values: dict[str, StoredValue], runner: StepRunner
    ) -> CandidateRecord:
        node = graph.candidate
        label = self._label(graph)
        champion = self._find_champion()
        given: dict[str, AnyGiven] = {
            "objects": GivenStore(),
            "model": resolve(node.model, data, values),
            "test": resolve(node.test, data, values),
            "reference": GivenValue(None) if node.reference is None else resolve(node.reference, data, values),
            "settings": GivenValue(codec.to_builtins(self._settings(label))),
            "champion": GivenValue("" if champion is None else champion.tree),
            "champion_standing": GivenValue(self._find_standing(champion)),
        }
        step = StepNode(name=EVALUATE, function=_EVALUATE_FUNCTION, arguments={})
        done = runner.run(len(graph.steps) + 1, step, given)
        if done.output is None:
            raise StepFailedError("the candidate could not be examined")
        found: ExaminedCandidate = load_value(done.output, self._place.objects)
        return self._record(found, label, champion)

    def _record(self, found: ExaminedCandidate, label: str, champion: ModelVersion | None) -> CandidateRecord:
        """Keep the reports under the runs that made the models, and the candidate's metrics with this run."""
        keep = self._port.evaluation.record_report
        report: Report = self._claim.call(keep, seal(structs.replace(found.report, run_id=self._run.id)))
        champion_report = None
        if found.champion_report is not None and champion is not None:
            made_by = champion.run_id or ""
            champion_report = self._claim.call(keep, seal(structs.replace(found.champion_report, run_id=made_by)))
        at = self._run.started_at
        points = [Metric(each.name, each.value, at=at) for each in report.metrics if each.value is not None]
        self._claim.call(self._port.tracking.log_batch, self._run.id, points)
        return CandidateRecord(
            model=found.model,
            info=found.info,
            test=found.test,
            reference=found.reference,
            label=label,
            report_id=report.id,
            champion="" if champion is None else f"{champion.model}/{champion.version}",
            champion_report_id=None if champion_report is None else champion_report.id,
            champion_error=found.champion_error,
        )

    def _trial_settings(self, label: str) -> TrialSettings:
        task, charter = self._project.task, self._project.charter
        return TrialSettings(task=task, label=label, metric=charter.metric or primary_metric(task))

    def _settings(self, label: str) -> ExamSettings:
        project = self._project
        performance = project.monitor.performance
        metrics = [project.charter.metric, performance.metric if performance else None, *project.evaluation.metrics]
        sections = project.data.values()
        slices = [*project.evaluation.slices, *(name for each in sections for name in each.sensitive)]
        special = {name for each in sections for name in (each.time, each.key) if name} | set(slices)
        return ExamSettings(
            task=project.task,
            label=label,
            metrics=tuple(dict.fromkeys(filter(None, metrics))),
            primary=project.charter.metric,
            gates=project.gates,
            slices=tuple(dict.fromkeys(slices)),
            not_inputs=tuple(sorted(special)),
            cluster=project.deploy.key,
            seed=self._seed,
        )

    def _label(self, graph: Graph) -> str:
        if graph.candidate.label is not None:
            return graph.candidate.label
        labels = {self._project.data[name].label for name in graph.reads} - {None}
        label = labels.pop() if len(labels) == 1 else None
        if label is None:
            hint = "say Candidate(model, test=rows, label=...), or label in one data section of penstock.toml"
            raise InvalidInputError("which column is the label is not known", hint=hint)
        return label

    def _find_standing(self, version: ModelVersion | None) -> Any:
        """Who decided about the code of a version, as plain values; None where nobody did.

        Signatures stay out: they come a moment after a version does, and would make an unchanged step another one.
        """
        if version is None or version.tree is None:
            return None
        standing: Standing = self._claim.call(self._port.trust.get_standing, version.tree)
        if standing.decision is None:
            return None
        return codec.to_builtins(Standing(tree=standing.tree, decision=standing.decision))

    def _find_champion(self) -> ModelVersion | None:
        try:
            return self._claim.call(self._port.registry.resolve, CHAMPION, self._project.name)
        except NotFoundError:
            return None
