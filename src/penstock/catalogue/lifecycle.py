"""The seven stages of a model's life, each with the evidence that it holds."""

from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.clock import format_duration
from penstock.core.errors import NotFoundError
from penstock.core.project.types import Project
from penstock.evaluation.types import Report, Verdict
from penstock.registry.types import ModelVersion


class Stage(Struct, frozen=True, kw_only=True):
    """One stage: whether it holds, and what says so."""

    number: int  # 1 to 7
    name: str
    holds: bool
    evidence: str  # in plain words; what to do where it does not hold
    link: str = ""  # the page that shows the evidence


class Lifecycle(Struct, frozen=True, kw_only=True):
    """Where a project stands."""

    project: str
    stages: list[Stage]
    waiting_for: str  # what the loop does next

    @property
    def holding(self) -> int:
        """How many stages hold."""
        return sum(stage.holds for stage in self.stages)


def read_lifecycle(services: Services, project: Project) -> Lifecycle:
    """Look at everything a project has, and say which stages hold."""
    report, verdict = _newest_judged(services, project)
    stages = [
        _charter(project),
        _data(services, project, report),
        _labels(project, report),
        _training(services, project),
        _errors(report, verdict),
        _deployment(services, project),
        _watching(services, project),
    ]
    return Lifecycle(project=project.name, stages=stages, waiting_for=services.loop.get_state(project.name).waiting_for)


def _newest_judged(services: Services, project: Project) -> tuple[Report | None, Verdict | None]:
    versions = _versions(services, project)
    if not versions or not versions[0].report_id:
        return None, None
    report = services.evaluation.get_report(versions[0].report_id)
    verdicts = services.evaluation.list_verdicts(report.id)
    return report, verdicts[0] if verdicts else None


def _versions(services: Services, project: Project) -> list[ModelVersion]:
    try:
        return services.registry.list_versions(project.name)
    except NotFoundError:
        return []


def _charter(project: Project) -> Stage:
    charter = project.charter
    holds = bool(charter.goal and charter.metric)
    bar = f", {charter.metric} at least {charter.target:g}" if charter.target is not None else f", {charter.metric}"
    missing = "write the goal and the metric into [charter] of penstock.toml"
    return Stage(
        number=1, name="Define the project", holds=holds, evidence=f"{charter.goal}{bar}" if holds else missing
    )


def _data(services: Services, project: Project, report: Report | None) -> Stage:
    latest = [services.datasets.find_latest(dataset) for dataset in project.data]
    name = "Define data, establish a baseline"
    found = [version for version in latest if version is not None]
    if not found or len(found) < len(latest):
        return Stage(number=2, name=name, holds=False, evidence="take in the data with 'penstock data add'")
    told = "; ".join(f"{version.dataset} version {version.version}, {version.rows:,} rows" for version in found)
    baselines = [baseline.name for baseline in report.baselines] if report else []
    told += f"; baseline {', '.join(baselines)}" if baselines else "; no baseline yet"
    return Stage(number=2, name=name, holds=bool(baselines), evidence=told, link="/data")


def _labels(project: Project, report: Report | None) -> Stage:
    name = "Label and organize data"
    if report is None:
        return Stage(number=3, name=name, holds=False, evidence="a run says how many rows have a label")
    told = f"{report.rows:,} test rows with {report.label}"
    told += f", {report.unlabelled:,} without" if report.unlabelled else ""
    return Stage(number=3, name=name, holds=report.rows > 0, evidence=told, link=f"/runs/{report.run_id}")


def _training(services: Services, project: Project) -> Stage:
    versions = _versions(services, project)
    name = "Select and train"
    if not versions:
        return Stage(number=4, name=name, holds=False, evidence="train with 'penstock run'")
    newest = versions[0]
    told = (
        f"{newest.version} version{'s' if newest.version > 1 else ''}, the newest {newest.created_at:%d %b %Y, %H:%M}"
    )
    return Stage(number=4, name=name, holds=True, evidence=told, link=f"/models/{project.name}/{newest.version}")


def _errors(report: Report | None, verdict: Verdict | None) -> Stage:
    name = "Analyse errors"
    if report is None:
        return Stage(number=5, name=name, holds=False, evidence="a run evaluates its model")
    worse = [part.name for part in report.slices if part.is_worse]
    told = f"{len(report.slices)} slices, " + (f"worse on {', '.join(worse[:3])}" if worse else "none worse")
    told = told if report.slices else "no slice is declared"
    told += f"; {verdict.summary}" if verdict else ""
    return Stage(number=5, name=name, holds=True, evidence=told)


def _deployment(services: Services, project: Project) -> Stage:
    name = "Deploy"
    live = next((d for d in services.serving.list_deployments() if d.name == project.name), None)
    if live is None or live.stable is None:
        return Stage(number=6, name=name, holds=False, evidence="a model that passes its gates is released")
    told = f"version {live.stable.version} answers"
    if live.candidate is not None:
        told += f", version {live.candidate.version} is tried on {live.share:.0%}"
    broken = [failure for gateway in services.serving.list_gateways() for failure in gateway.failures]
    if broken:
        told = f"the gateway cannot load version {broken[0].version}: {broken[0].problem}"
    return Stage(number=6, name=name, holds=not broken, evidence=told, link=f"/deployments/{project.name}")


def _watching(services: Services, project: Project) -> Stage:
    windows = services.monitoring.list_windows(project.name, limit=1000)
    open_alerts = services.monitoring.list_alerts(project.name, status="open")
    name = "Monitor and maintain"
    if not windows:
        return Stage(number=7, name=name, holds=False, evidence=_watch_first(services, project))
    told = f"{len(windows)} window{'s' if len(windows) > 1 else ''}, "
    told += f"{len(open_alerts)} open alert{'s' if len(open_alerts) > 1 else ''}" if open_alerts else "no open alert"
    return Stage(number=7, name=name, holds=True, evidence=told, link=f"/deployments/{project.name}")


def _watch_first(services: Services, project: Project) -> str:
    rows = services.predictions.get_traffic(project.name).rows
    length = format_duration(project.monitor.window)
    if not rows:
        return f"no prediction yet; each {length} of them is a window"
    return f"{rows:,} prediction{'s' if rows > 1 else ''}; the first window of {length} closes when a later one comes"
