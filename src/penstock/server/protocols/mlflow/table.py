"""Every operation of the protocol that this server answers."""

from penstock.server.protocols.mlflow import server_info
from penstock.server.protocols.mlflow.endpoint import Endpoint

ENDPOINTS: list[Endpoint] = [
    *server_info.ENDPOINTS,
]
