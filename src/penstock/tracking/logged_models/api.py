"""The routes of logged models."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.logged_models.service import LoggedModelService as Service

_ONE = "/logged-models/{model_id}"
ROUTES = [
    Route("POST", "/logged-models", Service.create_logged_model, needs=Role.CONTRIBUTOR),
    Route("POST", "/logged-model-searches", Service.search_logged_models, needs=Role.READER),
    Route("GET", _ONE, Service.get_logged_model, needs=Role.READER),
    Route("POST", f"{_ONE}/finish", Service.finish_logged_model, needs=Role.CONTRIBUTOR),
    Route("DELETE", _ONE, Service.delete_logged_model, needs=Role.CONTRIBUTOR),
    Route("POST", f"{_ONE}/tags", Service.set_logged_model_tags, needs=Role.CONTRIBUTOR),
    Route(
        "DELETE", "/logged-models/{model_id}/tags/{key:path}", Service.remove_logged_model_tag, needs=Role.CONTRIBUTOR
    ),
    Route("POST", f"{_ONE}/params", Service.log_logged_model_params, needs=Role.CONTRIBUTOR),
    Route("POST", "/taken-logged-models", Service.take_over_logged_model, needs=Role.ADMIN),
    Route("POST", "/taken-logged-models/{model_id}/points", Service.take_over_logged_model_points, needs=Role.ADMIN),
    Route("POST", "/taken-logged-models/{model_id}/settle", Service.settle_logged_model, needs=Role.ADMIN),
]
