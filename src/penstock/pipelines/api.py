"""The routes of pipelines."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.pipelines.service import PipelineService

ROUTES = [
    Route("POST", "/pipeline-runs", PipelineService.request_run, needs=Role.CONTRIBUTOR),
    Route("GET", "/pipeline-runs", PipelineService.list_runs, needs=Role.READER),
    Route("GET", "/pipeline-runs/{run_id}", PipelineService.get_run, needs=Role.READER),
    Route("GET", "/pipeline-runs/{run_id}/steps", PipelineService.list_steps, needs=Role.READER),
    Route("GET", "/pipeline-runs/{run_id}/steps/{step}/changes", PipelineService.explain_step, needs=Role.READER),
    Route("POST", "/pipeline-runs/{run_id}/cancel", PipelineService.cancel_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/resume", PipelineService.resume_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/renew", PipelineService.renew_claim, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/release", PipelineService.release_claim, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/begin", PipelineService.begin_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/finish", PipelineService.finish_run, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/probed", PipelineService.finish_probe, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-runs/{run_id}/fail", PipelineService.fail_run, needs=Role.CONTRIBUTOR),
    Route("GET", "/pipeline-claims", PipelineService.has_work, needs=Role.CONTRIBUTOR),
    Route("POST", "/pipeline-claims", PipelineService.claim_run, needs=Role.CONTRIBUTOR),
    Route("PUT", "/pipeline-steps", PipelineService.record_step, needs=Role.CONTRIBUTOR),
    Route("GET", "/step-results/{key}", PipelineService.find_cached, needs=Role.CONTRIBUTOR),
]
