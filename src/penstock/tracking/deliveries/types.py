"""What is known of a spool's delivery."""

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """A record that the server will never take, and why."""

    sequence: int
    code: str
    message: str


class Delivery(Struct, frozen=True, kw_only=True):
    """How far a spool has been applied: every record up to `last`, but for those refused."""

    spool: str
    last: int = 0  # its first record has the number 1
    refused: tuple[Refusal, ...] = ()  # of the batch that was applied last
