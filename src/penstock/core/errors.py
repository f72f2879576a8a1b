"""Every error a caller may meet, with the HTTP status it becomes and the way out of it."""

from typing import ClassVar


class PenstockError(Exception):
    """Something penstock refuses or cannot do.

    Attributes:
        code: a stable name that programs branch on, such as `NOT_FOUND`.
        hint: what to do about it, when that is not part of the message.
        http_status: the status an HTTP answer carries.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class InvalidInputError(PenstockError):
    """The request can never succeed as it stands.

    Attributes:
        field: the path of the offending field, such as `rows[3].age`; empty when the whole input is meant.
    """

    code = "INVALID_INPUT"
    http_status = 422

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class UnauthenticatedError(PenstockError):
    """No token, or one that nobody issued."""

    code = "UNAUTHENTICATED"
    http_status = 401


class TooLargeError(PenstockError):
    """The body is larger than what is read here."""

    code = "TOO_LARGE"
    http_status = 413


class PermissionDeniedError(PenstockError):
    """The actor's role does not allow this."""

    code = "PERMISSION_DENIED"
    http_status = 403


class NotFoundError(PenstockError):
    """No such thing; the message names what was looked for."""

    code = "NOT_FOUND"
    http_status = 404


class ConflictError(PenstockError):
    """The thing is not in the state you assumed; read it again."""

    code = "CONFLICT"
    http_status = 409


class AlreadyExistsError(ConflictError):
    """The name is taken."""

    code = "ALREADY_EXISTS"


class UnavailableError(PenstockError):
    """Try again later.

    Attributes:
        retry_after_s: how many seconds to wait before the next try.
    """

    code = "UNAVAILABLE"
    http_status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class OverloadedError(UnavailableError):
    """More is asked for than can be done just now; what was asked was not begun."""

    code = "REQUEST_LIMIT_EXCEEDED"
    http_status = 429


class OutcomeUnknownError(UnavailableError):
    """It may or may not have happened, and nobody can say; repeat it with the same idempotency key, or look."""

    code = "OUTCOME_UNKNOWN"


class StorageFullError(UnavailableError):
    """There is no room left where the project keeps its state; reads go on."""

    code = "STORAGE_FULL"
    http_status = 507


class CorruptDataError(PenstockError):
    """Stored bytes or rows are not what was written."""

    code = "CORRUPT_DATA"
    http_status = 500


ERRORS: dict[str, type[PenstockError]] = {
    error.code: error
    for error in (
        InvalidInputError,
        UnauthenticatedError,
        TooLargeError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        AlreadyExistsError,
        UnavailableError,
        OverloadedError,
        OutcomeUnknownError,
        StorageFullError,
        CorruptDataError,
        PenstockError,
    )
}


def error_from_code(code: str, message: str, *, hint: str = "") -> PenstockError:
    """The error that an HTTP answer with this code stands for."""
    return ERRORS.get(code, PenstockError)(message, hint=hint)
