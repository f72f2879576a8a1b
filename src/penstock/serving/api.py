"""The routes of serving."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.serving.service import ServingService

ROUTES = [
    Route("GET", "/serving/deployments", ServingService.list_deployments, needs=Role.READER),
    Route("GET", "/serving/deployments/{deployment}", ServingService.get_deployment, needs=Role.READER),
    Route("POST", "/serving/deployments/{deployment}/rollouts", ServingService.deploy, needs=Role.MAINTAINER),
    Route("POST", "/serving/deployments/{deployment}/rollback", ServingService.roll_back, needs=Role.MAINTAINER),
    Route("GET", "/serving/deployments/{deployment}/revisions", ServingService.list_revisions, needs=Role.READER),
    Route("GET", "/serving/rollouts", ServingService.list_rollouts, needs=Role.READER),
    Route("GET", "/serving/rollouts/{rollout_id}", ServingService.get_rollout, needs=Role.READER),
    Route("GET", "/serving/rollouts/{rollout_id}/measures", ServingService.list_measures, needs=Role.READER),
    Route("POST", "/serving/rollouts/{rollout_id}/measures", ServingService.note_measures, needs=Role.CONTRIBUTOR),
    Route("POST", "/serving/rollouts/{rollout_id}/advance", ServingService.advance, needs=Role.MAINTAINER),
    Route("POST", "/serving/rollouts/{rollout_id}/promote", ServingService.promote, needs=Role.MAINTAINER),
    Route("POST", "/serving/rollouts/{rollout_id}/abort", ServingService.abort, needs=Role.MAINTAINER),
    Route("GET", "/serving/routing", ServingService.routing, needs=Role.READER),
    Route("GET", "/serving/gateways", ServingService.list_gateways, needs=Role.READER),
    Route("POST", "/serving/gateways", ServingService.report_gateway, needs=Role.CONTRIBUTOR),
]
