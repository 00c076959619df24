"""What a check says of a reward program."""

from __future__ import annotations

import enum


class Status(enum.StrEnum):
    """What became of a candidate. Only ``OK`` and ``TRAINED`` ones are worth training time."""

    OK = "ok"
    TRAINED = "trained"
    PARSE_ERROR = "parse_error"
    STATIC_REJECT = "static_reject"
    RUNTIME_ERROR = "runtime_error"
    TIMEOUT = "timeout"
    OOM = "oom"
    BAD_SHAPE = "bad_shape"
    NON_FINITE = "non_finite"
    CONSTANT = "constant"
    UNSTABLE = "unstable"
    TPE_FAIL = "tpe_fail"

    @property
    def passed(self) -> bool:
        """Whether the candidate survived every screen."""
        return self in (Status.OK, Status.TRAINED)
