"""The routes of deployments that are served elsewhere."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.monitoring.external.service import ExternalService

ROUTES = [
    Route("GET", "/external", ExternalService.list_deployments, needs=Role.READER),
    Route("PUT", "/external/{name}", ExternalService.declare, needs=Role.CONTRIBUTOR),
    Route("GET", "/external/{name}", ExternalService.get_deployment, needs=Role.READER),
    Route("GET", "/external/{name}/versions", ExternalService.list_versions, needs=Role.READER),
    Route("PUT", "/external/{name}/versions/{version}", ExternalService.add_version, needs=Role.CONTRIBUTOR),
]
