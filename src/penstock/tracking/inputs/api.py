"""The routes of what runs read and made."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.inputs.service import InputService

ROUTES = [
    Route("POST", "/runs/{run_id}/logged-inputs", InputService.log_inputs, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs/{run_id}/logged-inputs", InputService.get_inputs, needs=Role.READER),
    Route("POST", "/runs/{run_id}/logged-outputs", InputService.log_outputs, needs=Role.CONTRIBUTOR),
    Route("GET", "/runs/{run_id}/logged-outputs", InputService.list_outputs, needs=Role.READER),
    Route("GET", "/logged-datasets", InputService.list_logged_datasets, needs=Role.READER),
]
