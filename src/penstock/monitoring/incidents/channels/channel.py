"""What a channel is: one way to send one message."""

from typing import Protocol

from penstock.monitoring.incidents.types import Delivery


class DeliveryError(Exception):
    """A message could not be sent.

    Attributes:
        is_final: trying again would change nothing before a person mends something.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Channel(Protocol):
    """Sends messages; may be called from any thread.

    A message may come more than once: whoever receives it knows it again by the id of its delivery.
    """

    def send(self, delivery: Delivery) -> None:
        """Send a message; returns once the other side has it.

        Raises:
            DeliveryError: the other side does not have it, or nobody can say.
        """
        ...
