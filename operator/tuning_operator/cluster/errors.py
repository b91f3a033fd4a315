"""Answers of the API server that are not success, as types that callers can tell apart."""

from typing import Any


class ApiError(Exception):
    """The API server refused or could not be reached. `status` is 0 if there was no answer at all."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{reason or status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """The same request may succeed later without anybody's doing."""
        return False


class NotFoundError(ApiError):
    """404: the object, its namespace or its kind does not exist."""


class AlreadyExistsError(ApiError):
    """409 on a create: the name is taken, by us or by somebody else."""


class ConflictError(ApiError):
    """409 on a write with a precondition: the object is not the one that was known."""


class ForbiddenError(ApiError):
    """403: RBAC, quota or admission said no; the message says which."""


class InvalidError(ApiError):
    """400 or 422: the object is not acceptable as it is."""


class GoneError(ApiError):
    """410: the resource version or the list's continuation has expired."""


class UnauthorizedError(ApiError):
    """401 with fresh credentials."""


class UnavailableError(ApiError):
    """429, 5xx, a timeout or no connection; the client has already tried several times."""

    @property
    def transient(self) -> bool:
        return True


def from_answer(status: int, body: Any, *, retry_after: float | None = None) -> ApiError:
    """The error that stands in a `metav1.Status`, or in whatever else came."""
    known = isinstance(body, dict)
    reason = str(body.get("reason") or "") if known else ""
    message = str(body.get("message") or "") if known else str(body)[:500]
    kinds: dict[int, type[ApiError]] = {
        400: InvalidError,
        401: UnauthorizedError,
        403: ForbiddenError,
        404: NotFoundError,
        409: ConflictError,
        410: GoneError,
        422: InvalidError,
        429: UnavailableError,
    }
    kind = kinds.get(status, UnavailableError if status >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExistsError
    return kind(status, reason, message, retry_after=retry_after)
