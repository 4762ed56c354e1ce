"""What the log may contain of a request, and of an error while it was processed: nothing that a client sent."""

import re
import traceback

from .request import FIELDS

PARAM = re.compile(rf"(?:{'|'.join(FIELDS)})(?:\[\d{{1,9}}\])*")


def known_param(param: str | None) -> str | None:
    """The field that an error names, or `other`: clients have sent keys as a field's name."""
    return param if param is None or PARAM.fullmatch(param) else "other"


def trace(error: BaseException) -> str:
    """The lines of code that led to an error and its causes, and their types. Messages may contain what was sent."""
    causes: list[BaseException | None] = (
        list(error.exceptions) if isinstance(error, BaseExceptionGroup) else [error.__cause__ or error.__context__]
    )
    lines = traceback.format_tb(error.__traceback__)
    return "".join([*(trace(cause) for cause in causes if cause is not None), *lines, f"{type(error).__qualname__}\n"])
