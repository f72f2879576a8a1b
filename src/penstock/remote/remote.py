"""A whole penstock at the other end of an HTTP connection."""

from typing import Any

from penstock.catalogue.services import ROUTES, Services
from penstock.remote.blobs import HttpBlobStore
from penstock.remote.proxy import Connection, ServiceProxy
from penstock.storage.objects.object_store import ObjectStore


def open_remote(
    url: str,
    *,
    token: str = "",
    actor: str = "",
    patience_s: float = 5.0,
    timeout_s: float = 60.0,
    objects: ObjectStore | None = None,
) -> Services:
    """The services of a running server.

    Args:
        url: of the server.
        token: shown with every request, when the server asks for one.
        actor: how this process names itself in the audit log; empty: as the server's owner.
        patience_s: how long to go on trying while the server cannot be reached.
        timeout_s: how long to wait for an answer.
        objects: the server's object store where this process can reach it directly; None: through the server.
    """
    connection = Connection(url, token=token, actor=actor, patience_s=patience_s, timeout_s=timeout_s)
    proxies: dict[str, Any] = {name: ServiceProxy(connection, routes) for name, routes in ROUTES.items()}
    return Services(
        **proxies,
        objects=objects or ObjectStore(HttpBlobStore(connection)),
        place=connection.url,
        close=connection.close,
    )
