"""Asks the configured gateway for one prediction on behalf of somebody who looks at a page."""

import time
from typing import Any
from urllib.parse import quote

import httpx
from msgspec import Struct

from penstock.core import codec
from penstock.core.config import Config
from penstock.core.errors import InvalidInputError, UnavailableError

TIMEOUT_S = 10.0


class Asked(Struct, frozen=True, kw_only=True):
    """What the gateway answered: a prediction, or what it did not like."""

    prediction: dict[str, Any] = {}
    took_ms: float = 0.0
    message: str = ""
    hint: str = ""
    field: str = ""  # of the row, as the gateway names it


class GatewayClient:
    """Speaks to one gateway: where it is comes from the configuration, and from nothing that a request says.

    Args:
        config: the gateway's address, and the token that it asks for.
    """

    def __init__(self, config: Config) -> None:
        self.url = config.gateway_url
        self._headers = {"content-type": "application/json"}
        if config.token:
            self._headers["authorization"] = f"Bearer {config.token}"

    def ask(self, deployment: str, row: dict[str, Any], version: int | None = None) -> Asked:
        """The answer to one row.

        Args:
            deployment: whose.
            row: its values by column.
            version: of the model; None leaves the choice to the split of the traffic.

        Raises:
            UnavailableError: the gateway does not answer, or not in time.
        """
        body = codec.encode({"rows": [row]} if version is None else {"rows": [row], "version": version})
        place, started = f"{self.url}/predict/{quote(deployment, safe='')}", time.perf_counter()
        try:
            answer = httpx.post(place, content=body, headers=self._headers, timeout=TIMEOUT_S, trust_env=False)
            told = codec.decode(answer.content, dict[str, Any])
        except (httpx.HTTPError, InvalidInputError) as error:
            raise UnavailableError(
                f"no gateway answers at {self.url}", hint="'penstock up' starts it with the server"
            ) from error
        took_ms = (time.perf_counter() - started) * 1000
        if answer.is_success:
            return Asked(prediction=told["predictions"][0], took_ms=took_ms)
        return Asked(message=told.get("message", ""), hint=told.get("hint", ""), field=told.get("field", ""))
