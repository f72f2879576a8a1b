"""The routes of tracking."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.service import TrackingService
from penstock.tracking.taking_over import TakingOverService

EXPERIMENT_ROUTES = [
    Route("POST", "/experiments", ExperimentService.create_experiment, needs=Role.CONTRIBUTOR),
    Route("GET", "/experiments", ExperimentService.list_experiments, needs=Role.READER),
    Route("POST", "/experiment-searches", ExperimentService.search_experiments, needs=Role.READER),
    Route("GET", "/experiments/{name:path}", ExperimentService.get_experiment, needs=Role.READER),
    Route("GET", "/experiment-numbers/{experiment_id}", ExperimentService.get_experiment_by_id, needs=Role.READER),
    Route("POST", "/experiments/{experiment_id}/name", ExperimentService.rename_experiment, needs=Role.CONTRIBUTOR),
    Route("POST", "/experiments/{experiment_id}/delete", ExperimentService.delete_experiment, needs=Role.CONTRIBUTOR),
    Route("POST", "/experiments/{experiment_id}/restore", ExperimentService.restore_experiment, needs=Role.CONTRIBUTOR),
    Route("POST", "/experiments/{experiment_id}/tags", ExperimentService.set_experiment_tags, needs=Role.CONTRIBUTOR),
    Route(
        "DELETE",
        "/experiments/{experiment_id}/tags/{key:path}",
        ExperimentService.remove_experiment_tag,
        needs=Role.CONTRIBUTOR,
    ),
    Route("GET", "/run-counts", ExperimentService.count_runs, needs=Role.READER),
]

ROUTES = [
    Route("POST", "/runs", TrackingService.create_run, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs", TrackingService.list_runs, needs=Role.READER),
    Route("POST", "/run-searches", TrackingService.search_runs, needs=Role.READER),
    Route("GET", "/unsealed-runs", TrackingService.list_unsealed, needs=Role.READER),
    Route("POST", "/run-comparisons", TrackingService.compare_runs, needs=Role.READER),
    Route("GET", "/runs/{run_id}", TrackingService.get_run, needs=Role.READER),
    Route("POST", "/runs/{run_id}/start", TrackingService.start_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/end", TrackingService.end_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/resume", TrackingService.resume_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/change", TrackingService.change_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/delete", TrackingService.delete_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/restore", TrackingService.restore_run, needs=Role.CONTRIBUTOR),
    Route("DELETE", "/runs/{run_id}/tags/{key:path}", TrackingService.remove_tag, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/batch", TrackingService.log_batch, needs=Role.CONTRIBUTOR),
    Route("POST", "/runs/{run_id}/inputs", TrackingService.log_input, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs/{run_id}/metrics/{key:path}", TrackingService.metric_history, needs=Role.READER),
]

TAKING_OVER_ROUTES = [
    Route("POST", "/taken-experiments", TakingOverService.take_over_experiment, needs=Role.ADMIN),
    Route("POST", "/taken-experiments/{experiment_id}/settle", TakingOverService.settle_experiment, needs=Role.ADMIN),
    Route("POST", "/taken-runs", TakingOverService.take_over_run, needs=Role.ADMIN),
    Route("POST", "/taken-runs/{run_id}/points", TakingOverService.take_over_points, needs=Role.ADMIN),
    Route("POST", "/taken-runs/{run_id}/settle", TakingOverService.settle_run, needs=Role.ADMIN),
    Route("GET", "/taken-runs/{run_id}", TakingOverService.summarize_run, needs=Role.ADMIN),
]
