"""The error tree.

Every error that a user can meet is one of these. Each has a stable `code`
(`area.what`), a sentence that says what happened and to what, and a hint that
says what to do. `app` maps the classes to exit codes and HTTP status in one place.

    PhonoloopError
    ├── InputError            what was given cannot be used         exit 2, HTTP 400
    │   ├── AudioError        a media file                          HTTP 422
    │   ├── ManifestError     a manifest, sidecar or text file
    │   └── ConfigError       a setting or a recipe
    ├── NotFoundError         there is no such thing                exit 3, HTTP 404
    ├── ConflictError         it contradicts what is recorded       exit 4, HTTP 409
    │   └── SplitConflictError  a speaker would be in two splits
    ├── IntegrityError        an artefact is not what it says       exit 5, HTTP 500
    ├── ResourceError         disk, memory or time ran out          exit 6, HTTP 507
    ├── UnavailableError      a part or server is not there         exit 7, HTTP 503
    └── CancelledError        someone asked for it to stop          exit 8, HTTP 409
"""

from __future__ import annotations


class PhonoloopError(Exception):
    """Base of the tree.

    Args:
        message: what happened, as one sentence without a full stop at the end.
        code: stable, dotted, lower case; the class's `default_code` where not given.
        subject: the file, id or key it happened to.
        hint: what to do about it.
    """

    default_code = "internal"
    #: whether the same call may succeed later without anybody changing anything
    retryable = False

    def __init__(self, message: str, *, code: str = "", subject: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.subject}: " if self.subject else ""
        todo = f". {self.hint}" if self.hint else ""
        return f"{where}{self.message}{todo}"

    def __reduce__(self):  # errors cross process borders
        return _rebuild, (type(self), self.message, self.code, self.subject, self.hint)


def _rebuild(kind: type[PhonoloopError], message: str, code: str, subject: str, hint: str) -> PhonoloopError:
    return kind(message, code=code, subject=subject, hint=hint)


class InputError(PhonoloopError):
    default_code = "input.invalid"


class AudioError(InputError):
    default_code = "audio.invalid"


class ManifestError(InputError):
    default_code = "manifest.invalid"


class ConfigError(InputError):
    default_code = "config.invalid"


class NotFoundError(PhonoloopError):
    default_code = "not_found"


class ConflictError(PhonoloopError):
    default_code = "conflict"


class SplitConflictError(ConflictError):
    default_code = "split.conflict"


class IntegrityError(PhonoloopError):
    default_code = "integrity"


class ResourceError(PhonoloopError):
    default_code = "resource.exhausted"
    retryable = True


class UnavailableError(PhonoloopError):
    default_code = "unavailable"
    retryable = True


class CancelledError(PhonoloopError):
    default_code = "cancelled"
