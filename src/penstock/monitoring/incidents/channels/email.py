"""Messages as e-mail over SMTP, encrypted unless the project file says otherwise."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from penstock.core.errors import InvalidInputError, PenstockError, UnavailableError
from penstock.core.outward import Outward
from penstock.monitoring.incidents.channels.channel import DeliveryError
from penstock.monitoring.incidents.messages import write_lines
from penstock.monitoring.incidents.types import Delivery

TIMEOUT_S = 15.0
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class Email:
    """E-mail to some people.

    Args:
        outward: opens the connections.
        smtp: gives the address of the mail server: `smtps://HOST`, `smtp://HOST` (STARTTLS, or nothing is sent) or
            `smtp+plain://HOST`.
        sender: the address in From.
        recipients: whom it goes to.
        login: gives user and password; None where the server asks for none.
    """

    def __init__(
        self,
        outward: Outward,
        smtp: Callable[[], str],
        sender: str,
        recipients: Sequence[str],
        login: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        self._outward = outward
        self._smtp = smtp
        self._sender = sender
        self._recipients = list(recipients)
        self._login = login

    def send(self, delivery: Delivery) -> None:
        """Send a message; see `Channel`."""
        mail = self._write(delivery)
        try:
            scheme, host, port = _split(self._smtp())
            login = self._login() if self._login else None
            self._hand_over(mail, scheme, host, port, login)
        except UnavailableError as error:
            raise DeliveryError(error.message) from error
        except PenstockError as error:
            raise DeliveryError(str(error), is_final=True) from error
        except smtplib.SMTPResponseException as error:
            told = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            is_final = 500 <= error.smtp_code < 600
            raise DeliveryError(f"the mail server answered {error.smtp_code}: {told}", is_final=is_final) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            is_final = all(code >= 500 for code in codes)
            raise DeliveryError(f"the mail server refuses the recipients: {codes}", is_final=is_final) from error
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{error}; use smtps:// or smtp+plain://", is_final=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"the mail server does not answer: {error or type(error).__name__}") from error

    def _write(self, delivery: Delivery) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = " ".join(str(delivery.message["title"]).split())[:200]
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Date"] = format_datetime(delivery.created_at)
        mail["Message-ID"] = f"<{delivery.id}@penstock.invalid>"  # the same at every try
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join(write_lines(delivery.message)) + "\n")
        return mail

    def _hand_over(self, mail: EmailMessage, scheme: str, host: str, port: int, login: tuple[str, str] | None) -> None:
        plain = self._outward.open(host, port, TIMEOUT_S)
        timer = threading.Timer(TIMEOUT_S, _cut, [plain])  # for all of it, however slowly the other side talks
        timer.daemon = True
        timer.start()
        try:
            context = ssl.create_default_context()
            opened = context.wrap_socket(plain, server_hostname=host) if scheme == "smtps" else plain
            with _Session(opened, host, port) as session:
                if scheme == "smtp":
                    session.starttls(context=context)
                if login is not None:
                    session.login(*login)
                session.send_message(mail)
        finally:
            timer.cancel()
            plain.close()


class _Session(smtplib.SMTP):
    """SMTP over a connection that is open already."""

    def __init__(self, opened: socket.socket, host: str, port: int) -> None:
        self._opened = opened
        super().__init__(host, port, local_hostname="penstock.invalid", timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._opened


def _cut(plain: socket.socket) -> None:
    with suppress(OSError):  # it has ended
        plain.shutdown(socket.SHUT_RDWR)


def _split(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError("the address of the mail server cannot be read") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise InvalidInputError(
            "the mail server is no smtps://HOST, smtp://HOST or smtp+plain://HOST",
            hint="user and password have keys of their own",
        )
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]
