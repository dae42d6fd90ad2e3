"""The error tree of the product.

ProductError                 code + sentence + fix; becomes one RFC 9457 problem on the wire
├── RequestError             the caller can mend it: unknown id, bad field, too large
│   ├── UnknownId            no such batch, webhook, folder or draft (404; the closed list has no code of its own)
│   └── OutOfDate            what is to be changed was changed by somebody else meanwhile (409; likewise)
├── InputError               the media or the address given cannot be used
└── EngineFailure            an engine could not do its part; decides retry and fallback
JobCancelled (BaseException) a cancel travelling up; never swallowed by `except Exception`
StaleAttempt                 a write by an attempt that no longer owns the job (the fence)
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.models.codes import ErrorCode


@dataclass(frozen=True)
class FieldError:
    """One field of a request that is wrong. `field` is a dotted path as the caller wrote it."""

    field: str
    message: str


class ProductError(Exception):
    """An error with a stable code, one sentence for a person, and what to do about it.

    `detail` and `hint` reach the caller: they name no local path and carry no traceback.
    `temporary`: nothing is wrong with the request or the job; the same will do a little later.
    """

    temporary = False

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        hint: str | None = None,
        fields: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.fields = fields


class RequestError(ProductError):
    """The request itself is at fault."""


class UnknownId(RequestError):
    """There is no batch, webhook, folder or draft of this id. Kinds with a code of their own (job_not_found) use that."""

    def __init__(self, detail: str, *, hint: str) -> None:
        super().__init__(ErrorCode.VALIDATION_FAILED, detail, hint=hint)


class OutOfDate(RequestError):
    """The request was made from a state that is no longer the stored one; `field` named it."""

    def __init__(self, detail: str, *, field: str, hint: str) -> None:
        super().__init__(ErrorCode.VALIDATION_FAILED, detail, hint=hint, fields=(FieldError(field, detail),))


class InputError(ProductError):
    """A file or address the caller gave cannot be used."""


class EngineFailure(ProductError):
    """An engine failed. `retryable`: the same engine may be tried once more.

    `exit_code` is the worker's exit status when it died. `log_tail` is for logs and the attempts
    table, never for the wire.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        hint: str | None = None,
        retryable: bool = False,
        exit_code: int | None = None,
        log_tail: str = "",
    ) -> None:
        super().__init__(code, detail, hint=hint)
        self.retryable = retryable
        self.exit_code = exit_code
        self.log_tail = log_tail


def unexpected(error: BaseException) -> EngineFailure:
    """What a person is told of an error that nobody foresaw; its own words are for the log."""
    return EngineFailure(
        ErrorCode.INTERNAL_ERROR,
        f"Something unexpected went wrong ({type(error).__name__}).",
        hint="The details are in logs/app.log.",
    )


class JobCancelled(BaseException):
    """The job was cancelled while an engine worked on it."""


class StaleAttempt(Exception):
    """The attempt that wants to write no longer owns the job."""
