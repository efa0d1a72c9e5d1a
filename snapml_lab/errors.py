"""The error family: a code for programs, a sentence for people, and the fix.

Everything a person can cause is one of these. Any other exception is a fault of ours.
"""

from typing import Any, ClassVar


class SnapmlError(Exception):
    """An error a person can mend.

    Attributes:
        code: stable name for programs (``not_found``).
        message: one sentence saying what happened, with the values involved.
        fix: one sentence saying what to do about it.
        status: the HTTP status REST answers with.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        """Return the three fields, as REST and ``--json`` show them."""
        return {"code": self.code, "message": self.message, "fix": self.fix}

    def _render_traceback_(self) -> list[str]:
        """Show the sentence instead of a stack in IPython: the stack is ours, the mistake is not."""
        lines = [f"\x1b[31m{type(self).__name__}\x1b[0m [{self.code}] {self.message}"]
        if self.fix:
            lines.append(f"\x1b[32mFix:\x1b[0m {self.fix}")
        return lines


class InvalidInputError(SnapmlError):
    """A value is not what the field takes."""

    code = "invalid_input"

    @classmethod
    def of(cls, field: str, got: object, expected: str, fix: str = "") -> "InvalidInputError":
        """Name the field, what came, what was expected and how to mend it."""
        shown = repr(got)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        return cls(f"{field}: got {shown}, expected {expected}.", fix=fix)


class UnknownCommandError(SnapmlError):
    """No command has that name."""

    code = "unknown_command"
    status = 404


class NotFoundError(SnapmlError):
    """What was named does not exist."""

    code = "not_found"
    status = 404


class ConflictError(SnapmlError):
    """The thing is not in a state that allows this."""

    code = "conflict"
    status = 409


class NotAllowedError(SnapmlError):
    """The caller's role does not allow this."""

    code = "not_allowed"
    status = 403


class UnsafeFileError(SnapmlError):
    """A file could run code when opened, and was not opened."""

    code = "unsafe_file"
    status = 422


class StoreDamagedError(SnapmlError):
    """A store's file is torn or is not ours; it was left as it is."""

    code = "store_damaged"
    status = 409


class StorageError(SnapmlError):
    """The disk is full or refuses to write; nothing was changed."""

    code = "storage"
    status = 507


class AuditBrokenError(SnapmlError):
    """Rows of the audit are not what was recorded."""

    code = "audit_broken"
    status = 409


class MissingExtraError(SnapmlError):
    """An optional dependency is not installed."""

    code = "missing_extra"
    status = 424

    @classmethod
    def of(cls, module: str, extra: str) -> "MissingExtraError":
        """Name the module that is missing and the extra that brings it."""
        return cls(
            f"This needs {module}, which is not installed.", fix=f'Run: pip install "snapml-lab[{extra}]"'
        )


class JobFailedError(SnapmlError):
    """A job that was waited for did not succeed."""

    code = "job_failed"
    status = 422


class CellFailedError(SnapmlError):
    """A cell of a notebook raised."""

    code = "cell_failed"
    status = 422


class StepFailedError(SnapmlError):
    """A step of a pipeline did not succeed; the steps after it did not run."""

    code = "step_failed"
    status = 422


class BlockedError(SnapmlError):
    """A guardrail blocked what was asked, or answered; ``findings`` say which, and never what was found."""

    code = "guardrail_blocked"
    status = 422

    def __init__(self, message: str, *, fix: str = "", findings: tuple[Any, ...] = ()) -> None:
        super().__init__(message, fix=fix)
        self.findings = findings


class DetachedError(SnapmlError):
    """The wait was interrupted; the job goes on."""

    code = "detached"
    status = 409


FAMILY: dict[str, type[SnapmlError]] = {
    cls.code: cls
    for cls in (
        SnapmlError, InvalidInputError, UnknownCommandError, NotFoundError, ConflictError, NotAllowedError,
        UnsafeFileError, StoreDamagedError, StorageError, AuditBrokenError, MissingExtraError, JobFailedError,
        CellFailedError, StepFailedError, BlockedError, DetachedError,
    )
}  # fmt: skip


def from_dict(fields: dict[str, str]) -> SnapmlError:
    """Bring back an error that crossed a process boundary as :meth:`SnapmlError.as_dict`."""
    cls = FAMILY.get(fields.get("code", ""), SnapmlError)
    return cls(fields.get("message", "unknown error"), fix=fields.get("fix", ""))
