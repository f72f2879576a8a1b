"""The routes of the model registry."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.registry.service import RegistryService

ROUTES = [
    Route("GET", "/models", RegistryService.list_models, needs=Role.READER),
    Route("GET", "/models/{model}", RegistryService.get_model, needs=Role.READER),
    Route("POST", "/models", RegistryService.create_model, needs=Role.CONTRIBUTOR),
    Route("PUT", "/models/{model}/description", RegistryService.describe_model, needs=Role.CONTRIBUTOR),
    Route("PUT", "/models/{model}/name", RegistryService.rename_model, needs=Role.MAINTAINER),
    Route("PUT", "/models/{model}/tags", RegistryService.set_model_tags, needs=Role.CONTRIBUTOR),
    Route("DELETE", "/models/{model}/tags/{key:path}", RegistryService.delete_model_tag, needs=Role.CONTRIBUTOR),
    Route("DELETE", "/models/{model}", RegistryService.delete_model, needs=Role.MAINTAINER),
    Route("GET", "/models/{model}/history", RegistryService.history, needs=Role.READER),
    Route("GET", "/models/{model}/versions", RegistryService.list_versions, needs=Role.READER),
    Route("POST", "/models/{model}/versions", RegistryService.register, needs=Role.CONTRIBUTOR),
    Route("GET", "/models/{model}/versions/{version}", RegistryService.get_version, needs=Role.READER),
    Route("PUT", "/models/{model}/versions/{version}/status", RegistryService.set_status, needs=Role.MAINTAINER),
    Route("PUT", "/models/{model}/versions/{version}/tags", RegistryService.set_tags, needs=Role.CONTRIBUTOR),
    Route(
        "PUT",
        "/models/{model}/versions/{version}/description",
        RegistryService.describe_version,
        needs=Role.CONTRIBUTOR,
    ),
    Route("PUT", "/models/{model}/versions/{version}/stage", RegistryService.set_stage, needs=Role.MAINTAINER),
    Route(
        "DELETE",
        "/models/{model}/versions/{version}/tags/{key:path}",
        RegistryService.delete_tag,
        needs=Role.CONTRIBUTOR,
    ),
    Route("DELETE", "/models/{model}/versions/{version}", RegistryService.delete_version, needs=Role.MAINTAINER),
    Route("GET", "/models/{model}/aliases-at", RegistryService.aliases_at, needs=Role.READER),
    Route("GET", "/models/{model}/aliases", RegistryService.list_aliases, needs=Role.READER),
    Route("GET", "/models/{model}/aliases/{alias}", RegistryService.find_alias, needs=Role.READER),
    Route("PUT", "/models/{model}/aliases/{alias}", RegistryService.move_alias, needs=Role.MAINTAINER),
    Route("DELETE", "/models/{model}/aliases/{alias}", RegistryService.remove_alias, needs=Role.MAINTAINER),
    Route("GET", "/models/{model}/aliases/{alias}/version", RegistryService.alias_at, needs=Role.READER),
    Route("GET", "/models/{model}/alias-history", RegistryService.alias_history, needs=Role.READER),
    Route("POST", "/models/search", RegistryService.search_models, needs=Role.READER),
    Route("POST", "/model-versions/search", RegistryService.search_versions, needs=Role.READER),
    Route("GET", "/model-versions/resolve", RegistryService.resolve, needs=Role.READER),
    Route("POST", "/taken-models", RegistryService.take_over_model, needs=Role.ADMIN),
    Route("POST", "/taken-model-versions", RegistryService.take_over_version, needs=Role.ADMIN),
    Route("GET", "/runs/{run_id}/model-versions", RegistryService.list_versions_of_run, needs=Role.READER),
]
