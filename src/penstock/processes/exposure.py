"""Who may reach what listens here; looked at before anything is started."""

from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import PermissionDeniedError


def check_exposure(config: Config) -> None:
    """Refuse to be open to the network without a token.

    Raises:
        PermissionDeniedError: the host is not loopback, and no token is set.
    """
    if config.host not in LOOPBACK and not config.token:
        raise PermissionDeniedError(
            f"listening on {config.host} would let anyone on the network in",
            hint="set PENSTOCK_TOKEN to a secret of your own, or listen on 127.0.0.1",
        )
