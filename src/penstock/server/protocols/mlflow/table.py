"""Every operation of the protocol that this server answers."""

from penstock.server.protocols.mlflow import (
    artifacts,
    experiments,
    inputs,
    logged_models,
    logging,
    metrics,
    registry_aliases,
    registry_models,
    registry_versions,
    runs,
    search,
    server_info,
    traces,
    traces_2,
    uploads,
)
from penstock.server.protocols.mlflow.endpoint import Endpoint

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
    *registry_models.ENDPOINTS,
    *registry_versions.ENDPOINTS,
    *registry_aliases.ENDPOINTS,
]
