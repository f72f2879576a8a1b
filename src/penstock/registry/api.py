"""The routes of the model registry."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.registry.service import RegistryService

ROUTES = [
    Route("GET", "/models", RegistryService.list_models, needs=Role.READER),
    Route("GET", "/models/{model}", RegistryService.get_model, needs=Role.READER),
    Route("GET", "/models/{model}/versions", RegistryService.list_versions, needs=Role.READER),
    Route("POST", "/models/{model}/versions", RegistryService.register, needs=Role.CONTRIBUTOR),
    Route("GET", "/models/{model}/versions/{version}", RegistryService.get_version, needs=Role.READER),
    Route("PUT", "/models/{model}/versions/{version}/status", RegistryService.set_status, needs=Role.MAINTAINER),
    Route("PUT", "/models/{model}/versions/{version}/tags", RegistryService.set_tags, needs=Role.CONTRIBUTOR),
    Route("GET", "/models/{model}/aliases", RegistryService.list_aliases, needs=Role.READER),
    Route("GET", "/models/{model}/aliases/{alias}", RegistryService.find_alias, needs=Role.READER),
    Route("PUT", "/models/{model}/aliases/{alias}", RegistryService.move_alias, needs=Role.MAINTAINER),
    Route("DELETE", "/models/{model}/aliases/{alias}", RegistryService.remove_alias, needs=Role.MAINTAINER),
    Route("GET", "/models/{model}/aliases/{alias}/version", RegistryService.alias_at, needs=Role.READER),
    Route("GET", "/models/{model}/alias-history", RegistryService.alias_history, needs=Role.READER),
    Route("GET", "/model-versions/resolve", RegistryService.resolve, needs=Role.READER),
    Route("GET", "/runs/{run_id}/model-versions", RegistryService.list_versions_of_run, needs=Role.READER),
]
