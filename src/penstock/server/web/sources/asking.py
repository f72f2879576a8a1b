"""Asks the configured gateway for one prediction on behalf of somebody who looks at a page."""

import http.client
import time
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from penstock.core import codec
from penstock.core.config import Config
from penstock.core.errors import InvalidInputError, UnavailableError

TIMEOUT_S = 10.0
LARGEST_ANSWER = 8 * 1024 * 1024  # bytes; a longer one is cut, and so no answer


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
        started = time.perf_counter()
        try:
            status, content = self._post(f"/predict/{quote(deployment, safe='')}", body)
            told = codec.decode(content, dict[str, Any])
        except (OSError, http.client.HTTPException, InvalidInputError) as error:
            raise UnavailableError(
                f"no gateway answers at {self.url}", hint="'penstock up' starts it with the server"
            ) from error
        took_ms = (time.perf_counter() - started) * 1000
        if status == http.client.OK:
            return Asked(prediction=told["predictions"][0], took_ms=took_ms)
        return Asked(message=told.get("message", ""), hint=told.get("hint", ""), field=told.get("field", ""))

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of an answer; redirections are not followed."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read(LARGEST_ANSWER)
        finally:
            connection.close()
