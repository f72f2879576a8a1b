"""Every operation of the protocol that this server answers."""

from penstock.server.protocols.mlflow import experiments, logging, metrics, runs, search, server_info
from penstock.server.protocols.mlflow.endpoint import Endpoint

ENDPOINTS: list[Endpoint] = [
    *experiments.ENDPOINTS,
    *runs.ENDPOINTS,
    *logging.ENDPOINTS,
    *metrics.ENDPOINTS,
    *search.ENDPOINTS,
    *server_info.ENDPOINTS,
]
