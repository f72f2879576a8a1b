"""Process groups: a shepherd, the command it tends, and all that the command starts."""

import json
import os
import select
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from penstock.compute import shepherd
from penstock.compute.types import Family, Job


class Group(Protocol):
    """Where a job runs. Safe to use from several threads."""

    def wait(self) -> int:
        """Wait until nothing of it is left; how the shepherd ended, where it could not report."""
        ...

    def kill(self) -> None:
        """End all of it at once."""
        ...


class OwnGroup:
    """A group that this process started.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, job: Job, env: dict[str, str], lifeline: int, report: int, log: int) -> None:
        self._lock = threading.Lock()
        self._reaped = False
        self._process = subprocess.Popen(
            shepherd.make_command(lifeline, report, job.argv),
            cwd=job.cwd,
            env=env | job.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lifeline, report),
            start_new_session=True,
        )

    def wait(self) -> int:
        """Wait until the shepherd has ended, and end what the command left running."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.kill()
        with self._lock:
            self._reaped = True
            return self._process.wait()

    def kill(self) -> None:
        """End all of it at once."""
        with self._lock:
            if not self._reaped:  # until then the number of the group can belong to nobody else
                with suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" of a dead group
                    os.killpg(self._process.pid, signal.SIGKILL)


class ForkServer:
    """A process that has imported what a family needs, and forks into its jobs.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, python: str, family: Family, env: dict[str, str], cwd: Path, log: int) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [python, "-P", "-m", "penstock.compute.fork_server", str(theirs.fileno()), *family.modules]
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError:
            self._requests.close()
            raise
        finally:
            theirs.close()
        threading.Thread(target=process.wait, name=f"forks-{process.pid}", daemon=True).start()

    def start(self, number: int, job: Job, lifeline: int, report: int, log: int) -> None:
        """Ask for a job, which begins when everything is imported.

        Raises:
            OSError: the server is gone.
        """
        asked = {"job": number, "argv": job.argv, "env": job.env}
        socket.send_fds(self._requests, [json.dumps(asked).encode()], [lifeline, report, log])

    def kill(self, number: int) -> None:
        """End a job at once; it may have ended before."""
        with suppress(OSError):
            self._requests.send(json.dumps({"kill": number}).encode())

    def close(self) -> None:
        """Let the server end; a job that still runs comes to its own end."""
        self._requests.close()


class ForkedGroup:
    """A group that a fork server started: what is known of it is whether its pipe of reports has a writer left."""

    def __init__(self, server: ForkServer, number: int, lifeline: int, report: int) -> None:
        self._server = server
        self._number = number
        self._lifeline = lifeline
        self._report = report

    def wait(self) -> int:
        """Wait until the server says that nothing is left, or is gone as the shepherd is."""
        poll = select.poll()
        poll.register(self._report, 0)  # asks for the end alone
        poll.poll()
        return -signal.SIGKILL

    def kill(self) -> None:
        """End all of it at once, by the server or, where that is gone, by the shepherd."""
        self._server.kill(self._number)
        with suppress(OSError):
            os.write(self._lifeline, b"k")
