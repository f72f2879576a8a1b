"""Who may reach what listens here; looked at before anything is started."""

from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import PermissionDeniedError


def check_exposure(config: Config, *, has_tokens: bool | None = None) -> None:
    """Refuse to be open to the network without a token.

    Args:
        config: where to listen, and the server's own token.
        has_tokens: whether tokens were issued; None where only the server's own counts.

    Raises:
        PermissionDeniedError: the host is not loopback, and there is no token to ask for.
    """
    if config.host not in LOOPBACK and not config.token and not has_tokens:
        made = "" if has_tokens is None else "make a token first with 'penstock tokens create NAME --home DIR', "
        raise PermissionDeniedError(
            f"listening on {config.host} would let anyone on the network in",
            hint=f"set PENSTOCK_TOKEN to a secret of your own, {made}or listen on 127.0.0.1",
        )
