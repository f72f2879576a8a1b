"""A penstock with one deployment that takes a column of each type, and a real gateway that answers for it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
from msgspec import structs
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.registry.format.saving import save_model
from penstock.server.app import build_server
from penstock.serving.port import ServicesPort
from serving.gateways import GatewayUnderTest
from serving_http import serve

OWNER = Actor("ada", Role.ADMIN)
SAMPLE = pl.DataFrame(
    {
        "user": ["u1", "u2"],
        "visits": [3, 0],
        "spent": [12.5, None],
        "member": [True, False],
        "since": [date(2026, 1, 31), date(2025, 5, 1)],
        "seen": [datetime(2026, 2, 1, 10, 30, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)],
        "<b>odd</b>": ["a", "b"],
    },
    schema_overrides={"seen": pl.Datetime("us", "UTC")},
)


@dataclass
class Trying:
    """A server with pages, and the gateway that it asks."""

    services: Services
    gateway: GatewayUnderTest
    config: Config
    url: str = ""


@contextlib.contextmanager
def open_trying(folder: Path) -> Iterator[Trying]:
    """Both over real HTTP; version 1 of `taste` answers all requests."""
    config = Config(home=folder / "home")
    with contextlib.closing(open_app(config, actor=OWNER)) as services:
        numbers = ColumnTransformer([("numbers", StandardScaler(), ["visits"])])
        model = make_pipeline(numbers, LogisticRegression()).fit(SAMPLE, [1, 0])
        info = save_model(model, folder / "model", task="binary", sample=SAMPLE)
        services.registry.register("taste", None, services.objects.put_tree(folder / "model"), info)
        services.serving.deploy("taste", "taste", 1, "direct")
        port = ServicesPort(services.serving, services.predictions, services.objects)
        gateway = GatewayUnderTest(services, folder, port=port)
        try:
            gateway.loop.step()
            number = int(gateway.http.url.rpartition(":")[2])
            config = structs.replace(config, gateway_port=number)
            with serve(build_server(services, config=config, owner=OWNER, project=None)) as url:
                yield Trying(services, gateway, config, url)
        finally:
            gateway.stop()
