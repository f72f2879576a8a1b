"""The routes of predictions."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.predictions.service import PredictionService

ROUTES = [
    Route("POST", "/predictions/segments", PredictionService.add_segment, needs=Role.CONTRIBUTOR),
    Route("POST", "/predictions/outcomes", PredictionService.add_outcomes, needs=Role.CONTRIBUTOR),
    Route("GET", "/predictions/outcomes/unmatched", PredictionService.list_unmatched, needs=Role.READER),
    Route("GET", "/predictions/outcomes/unmatched/count", PredictionService.count_unmatched, needs=Role.READER),
    Route("GET", "/predictions/deployments", PredictionService.list_deployments, needs=Role.READER),
    Route("GET", "/predictions/deployments/{deployment}/segments", PredictionService.list_segments, needs=Role.READER),
    Route("GET", "/predictions/deployments/{deployment}/outcomes", PredictionService.list_outcomes, needs=Role.READER),
    Route(
        "POST",
        "/predictions/deployments/{deployment}/entity-outcomes",
        PredictionService.add_entity_outcomes,
        needs=Role.CONTRIBUTOR,
    ),
    Route(
        "GET",
        "/predictions/deployments/{deployment}/entity-outcomes",
        PredictionService.list_entity_outcomes,
        needs=Role.READER,
    ),
    Route("GET", "/predictions/deployments/{deployment}/watermark", PredictionService.watermark, needs=Role.READER),
    Route("GET", "/predictions/deployments/{deployment}/traffic", PredictionService.get_traffic, needs=Role.READER),
]
