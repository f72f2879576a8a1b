"""What the server says of itself."""

from msgspec import Struct
from starlette.responses import PlainTextResponse, Response

from penstock.core.identity import Role
from penstock.server.protocols.mlflow.endpoint import API_3, Call, Endpoint

SPOKEN_VERSION = "3.17.2"  # the release of MLflow whose protocol this is


class ServerInfo(Struct):
    """What this server offers beyond the least that every one does."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    multipart_uploads_enabled: bool = True
    multipart_downloads_enabled: bool = False
    artifact_serving_enabled: bool = True
    artifacts_presigned_only: bool = False


async def tell_version(call: Call, _: None) -> Response:
    """The version of the protocol, as plain text."""
    return PlainTextResponse(SPOKEN_VERSION)


async def tell_info(call: Call, _: None) -> Struct:
    """What clients look at before they move large artifacts."""
    return ServerInfo()


ENDPOINTS = [
    Endpoint("GET", "/version", tell_version, Role.NOBODY),
    Endpoint("GET", "server-info", tell_info, Role.NOBODY, versions=(API_3,)),
]
