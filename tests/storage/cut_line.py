"""A line to PostgreSQL that breaks at the worst moment: around a COMMIT."""

import contextlib
import select
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import URL

Moment = Literal["before", "after", "for good"]  # it reached the server not at all, or its answer not us; or no more
_NAME = ".s.PGSQL.5432"


class CutLine:
    """Passes everything on until it is armed; then it breaks at the next COMMIT, once, or for good.

    Args:
        server: the database at the other end, on a Unix socket.
        folder: where the near end lies; its path has to be short.
    """

    def __init__(self, server: URL, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._far = str(Path(str(server.query["host"])) / _NAME)
        self._armed: Moment | None = None
        self._is_dead = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _NAME))
        self._listener.listen()
        self.url = server.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_dead = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def arm(self, moment: Moment) -> None:
        """Break at the next COMMIT."""
        self._armed = moment

    def mend(self) -> None:
        """Let connections through again."""
        self._is_dead = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_dead:
                    near.close()
                    continue
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        far.connect(self._far)
        with near, far, contextlib.suppress(OSError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is near and self._armed and b"COMMIT\0" in data:
                        moment, self._armed = self._armed, None
                        self._is_dead = moment == "for good"
                        if moment != "before":
                            far.sendall(data)
                            far.recv(65536)  # it is committed now, and we never hear of it
                        return
                    (far if end is near else near).sendall(data)
