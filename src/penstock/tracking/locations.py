"""Where artifacts are said to lie: URIs that a client resolves against the server it talks to."""

from penstock.core.ids import ExperimentId

SCHEME = "mlflow-artifacts:/"


def experiment_location(experiment_id: ExperimentId, location: str) -> str:
    """The place below which the artifacts of an experiment lie."""
    return location.rstrip("/") or f"{SCHEME}{experiment_id}"


def artifact_uri(experiment_id: ExperimentId, location: str, run_id: str) -> str:
    """The root of a run's artifacts; it stays the same for the run's whole life."""
    return f"{experiment_location(experiment_id, location)}/{run_id}/artifacts"
