"""`penstock server`: one process that needs no project; tracking, registry, pages."""

import contextlib
from collections.abc import Callable

import msgspec

from penstock.core.config import Config
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.processes.listener import open_listener
from penstock.processes.serve import serve
from penstock.remote.discovery import LOCK_NAME, SHORT_WAIT_S, UP_LOCK_NAME, HomeLock


def serve_alone(config: Config, tell_ready: Callable[[str], None]) -> None:
    """Serve a home folder in this process until it is told to stop.

    Args:
        config: where to listen, and where everything is kept. Port 0 is any free port.
        tell_ready: called with the server's URL once it answers.

    Raises:
        InvalidInputError: the home folder cannot be written, or a URL names nothing that can be opened.
        ConflictError: another server holds the home folder, or the port is taken.
        PermissionDeniedError: it would be open to the network without a token.
    """
    _check_home(config)
    with contextlib.closing(open_listener(config.host, config.port, what="server", option="--port")) as listener:
        config = msgspec.structs.replace(config, port=listener.getsockname()[1])
        serve(config, listener, lock_wait_s=SHORT_WAIT_S, tell_ready=tell_ready)


def _check_home(config: Config) -> None:
    try:
        config.home.mkdir(parents=True, exist_ok=True)
        probe = config.home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InvalidInputError(
            f"nothing can be kept in {config.home}: {(error.strerror or str(error)).lower()}",
            hint="name a folder that can be written with --home",
        ) from error
    for name in (LOCK_NAME, UP_LOCK_NAME):
        lock = HomeLock(config.home / name)
        if lock.is_held:
            raise ConflictError(
                f"a server of {config.home} runs already (process {lock.holder})",
                hint="use that one, stop it, or name another folder with --home",
            )
