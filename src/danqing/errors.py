"""The errors that callers of the service can get, and those that only its operator can mend.

Callers' errors have a stable `code`, and their docstring is the default message. Only `api/errors.py` maps them to HTTP
statuses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ServiceError(Exception):
    """The server could not complete the request."""

    code: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        issues: Sequence[Mapping[str, Any]] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """`message` is safe to show; `param` names the bad field; `issues` lists every bad field of the body."""
        self.message = message or (type(self).__doc__ or "").strip()
        self.param = param
        self.issues = tuple(issues)
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.message)


class InvalidRequest(ServiceError):
    """Invalid payload provided"""

    code = "invalid_payload"


class ModerationBlocked(ServiceError):
    """Your request was rejected by the safety system."""

    code = "moderation_blocked"


class InvalidApiKey(ServiceError):
    """This request requires a valid API key. Create one with `danqing keys create`."""

    code = "invalid_api_key"


class InsufficientCredits(ServiceError):
    """You've run out of credits. Please top up your balance or update your payment method to continue."""

    code = "insufficient_credits"


class SpendLimitReached(ServiceError):
    """The spend limit of this API key is reached."""

    code = "spend_limit_reached"


class MissingScope(ServiceError):
    """This API key lacks the scope that the request needs."""

    code = "missing_scope"


class NotFound(ServiceError):
    """Not found."""

    code = "not_found"


class ModelNotFound(NotFound):
    """The model does not exist."""

    code = "model_not_found"


class Gone(ServiceError):
    """The lifetime of this file is over."""

    code = "gone"


class IdempotencyConflict(ServiceError):
    """A request with this Idempotency-Key is still in progress."""

    code = "idempotency_conflict"


class IdempotencyMismatch(ServiceError):
    """This Idempotency-Key was used with a different body."""

    code = "idempotency_mismatch"


class RateLimitExceeded(ServiceError):
    """Too many requests."""

    code = "rate_limit_exceeded"


class Cancelled(ServiceError):
    """The job was cancelled."""

    code = "cancelled"


class Overloaded(ServiceError):
    """The server cannot take the request now; try again later."""

    code = "overloaded"


class GenerationTimeout(ServiceError):
    """The generation ran over its time limit."""

    code = "generation_timeout"


class OperatorError(Exception):
    """Something that the server needs cannot be used; the message says in one line what it is and what to do."""


class SettingError(OperatorError):
    """A setting is missing, or its value can never work; the message names its variable."""


class DatabaseProblem(OperatorError):
    """The database cannot be opened; the message names file or server, never a password."""
