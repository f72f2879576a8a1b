"""Every operation of the protocol that this server answers."""

from penstock.server.protocols.mlflow import (
    artifacts,
    experiments,
    inputs,
    logged_models,
    logging,
    metrics,
    runs,
    search,
    server_info,
    traces,
    traces_2,
    uploads,
)
from penstock.server.protocols.mlflow.endpoint import Endpoint
from penstock.server.protocols.mlflow.registry import aliases, models, versions

ENDPOINTS: list[Endpoint] = [
    *experiments.ENDPOINTS,
    *runs.ENDPOINTS,
    *logging.ENDPOINTS,
    *metrics.ENDPOINTS,
    *search.ENDPOINTS,
    *server_info.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *uploads.ENDPOINTS,
    *logged_models.ENDPOINTS,
    *inputs.ENDPOINTS,
    *traces.ENDPOINTS,
    *traces_2.ENDPOINTS,
    *models.ENDPOINTS,
    *versions.ENDPOINTS,
    *aliases.ENDPOINTS,
]
