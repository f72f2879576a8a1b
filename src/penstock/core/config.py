"""Where a penstock keeps its state and listens: defaults, then the project file, then `PENSTOCK_*`, then arguments."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.core import codec

DATABASE_NAME = "penstock.db"
DEFAULT_PORT = 5151
DEFAULT_GATEWAY_PORT = 5152
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Config(Struct, frozen=True, kw_only=True):
    """Everything that is set once, at start. `Config()` alone works: SQLite and a folder, on loopback."""

    home: Path = Path(".penstock")
    """The folder of all state and logs."""
    database: str = ""
    """SQLAlchemy URL of the database; empty: SQLite in the home folder."""
    objects: str = ""
    """Folder or URL of the object store; empty: a folder in the home folder."""
    remote: str = ""
    """URL or folder of the store that `penstock data push` and `pull` speak to, such as `s3://BUCKET/PREFIX`."""
    grace: str = "7d"
    """How long an object that nothing refers to waits before `penstock gc` deletes it."""
    host: str = "127.0.0.1"
    """Address to listen on. Other than loopback needs a token."""
    hosts: str = ""
    """Host names the server answers to beside its address, with commas between them, such as `ml.example.org`."""
    port: int = DEFAULT_PORT
    """Port of the server: HTTP API and web pages."""
    gateway_port: int = DEFAULT_GATEWAY_PORT
    """Port of the gateway: predictions."""
    signed_by: str = ""
    """Names of signers, with commas: models that none of them has signed are refused; empty: any will do, or none."""
    token: str = ""
    """Bearer token every request must carry; empty: none is asked for, and only loopback is served."""
    inward: str = ""
    """Networks that are not public and that alerts may be sent to all the same, such as `10.0.3.0/24, 127.0.0.1`."""
    public_url: str = ""
    """Where people reach the server, for the links in alerts; empty: its own address."""
    worker_port: int = 0
    """Port of the worker's health and metrics; 0: none."""

    @property
    def database_url(self) -> str:
        """The database, with the default filled in."""
        return self.database or f"sqlite:///{self.home / DATABASE_NAME}"

    @property
    def objects_url(self) -> str:
        """The object store, with the default filled in."""
        return self.objects or str(self.home / "objects")

    @property
    def host_names(self) -> list[str]:
        """The names in `hosts`, as a browser writes them."""
        return [name.strip().lower() for name in self.hosts.split(",") if name.strip()]

    @property
    def demanded_signers(self) -> tuple[str, ...]:
        """The names in `signed_by`."""
        return tuple(name.strip() for name in self.signed_by.split(",") if name.strip())

    @property
    def url(self) -> str:
        """Where the server answers, as seen from this machine."""
        return f"http://{_to_reach(self.host)}:{self.port}"

    @property
    def shown_url(self) -> str:
        """Where people reach the server."""
        return self.public_url.rstrip("/") or self.url

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers, as seen from this machine."""
        return f"http://{_to_reach(self.host)}:{self.gateway_port}"

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.home / "logs"

    @property
    def cache(self) -> Path:
        """The folder of what can be made again: model directories, data frames."""
        return self.home / "cache"


def _to_reach(host: str) -> str:
    """The host part of a URL that leads to an address that is listened on."""
    if host in _EVERYWHERE:
        return _EVERYWHERE[host]
    return f"[{host}]" if ":" in host else host


def load_config(environment: Mapping[str, str] = os.environ, **given: object) -> Config:
    """The configuration of this process.

    Args:
        environment: `PENSTOCK_HOME`, `PENSTOCK_PORT` and so on override the defaults.
        given: override the environment; None counts as not given.

    Raises:
        InvalidInputError: a setting does not fit its type.
    """
    values: dict[str, object] = {}
    for name in Config.__struct_fields__:
        value = environment.get(f"PENSTOCK_{name.upper()}", "")
        if value:
            values[name] = value
    values |= {name: value for name, value in given.items() if value is not None}
    if "home" in values:
        values["home"] = str(values["home"])
    config = _convert(values)
    return msgspec.structs.replace(config, home=config.home.absolute())


def _convert(values: dict[str, object]) -> Config:
    plain = {name: value for name, value in values.items() if name != "home"}
    config = codec.convert(plain, Config, strict=False)
    return msgspec.structs.replace(config, home=Path(str(values["home"]))) if "home" in values else config
