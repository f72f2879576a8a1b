"""The routes of tracking."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.service import TrackingService

ROUTES = [
    Route("POST", "/experiments", TrackingService.create_experiment, needs=Role.CONTRIBUTOR),
    Route("GET", "/experiments", TrackingService.list_experiments, needs=Role.READER),
    Route("GET", "/experiments/{name:path}", TrackingService.get_experiment, needs=Role.READER),
    Route("POST", "/runs", TrackingService.create_run, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs", TrackingService.list_runs, needs=Role.READER),
    Route("GET", "/run-counts", TrackingService.count_runs, needs=Role.READER),
    Route("POST", "/run-comparisons", TrackingService.compare_runs, needs=Role.READER),
    Route("GET", "/runs/{run_id}", TrackingService.get_run, needs=Role.READER),
    Route("POST", "/runs/{run_id}/start", TrackingService.start_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/end", TrackingService.end_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/resume", TrackingService.resume_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/batch", TrackingService.log_batch, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/inputs", TrackingService.log_input, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs/{run_id}/metrics/{key:path}", TrackingService.metric_history, needs=Role.READER),
    Route("GET", "/runs/{run_id}/artifacts", TrackingService.list_artifacts, needs=Role.READER),
    Route("GET", "/runs/{run_id}/artifacts/{path:path}", TrackingService.get_artifact, needs=Role.READER),
    Route("PUT", "/runs/{run_id}/artifacts/{path:path}", TrackingService.log_artifact, needs=Role.CONTRIBUTOR),
]
