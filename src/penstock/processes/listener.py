"""The socket that a server or gateway listens on; opened before the process that answers there is started."""

import socket
import time

from penstock.core.errors import ConflictError, InvalidInputError

BACKLOG = 1024  # callers who wait to be taken in


def open_listener(host: str, port: int, *, what: str, option: str, wait_s: float = 0.0) -> socket.socket:
    """A listening socket that the processes inherit: while one restarts, callers wait instead of being refused.

    Raises:
        ConflictError: another program listens on this port.
    """
    deadline = time.monotonic() + wait_s
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
            return listener
        except OverflowError as error:
            listener.close()
            raise InvalidInputError(f"the {what} has no port {port}", hint=f"{option} takes 0 to 65535") from error
        except OSError as error:
            listener.close()
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise ConflictError(
                f"the {what} cannot listen on {host}:{port}: {error.strerror}",
                hint=f"stop the program that uses it, or choose another port with {option}",
            ) from error
