"""The JSON of a request's body: its fields by name, at a cost that is limited before anything is built.

A short body is parsed as a whole. Of a long one, only `input` may be long: msgspec finds it without building anything,
the rest is parsed as a short body is, and `items` reads `input` until the first item that must be refused.
"""

import json
from collections import Counter
from typing import NoReturn

import msgspec
import numpy as np

from .errors import ApiError, invalid
from .items import read_items

WHOLE_BYTES = 1 << 16
"""A longer body is read in two parts. The worst body of this size takes 20 ms and three megabytes as a whole."""
REST_BYTES = 1 << 16
"""Of a long body apart from `input`: the longest instruction with every character as an escape, and as much again."""
LONGEST_NAME = 64
DEEP = "The body is nested too deeply."
NOT_JSON = "The body is not valid JSON."
NOT_UTF8 = "The body is not UTF-8."
NO_OBJECT = "The body must be a JSON object."


class Input(msgspec.Struct):
    """The last `input` of an object, as it is in the body. Every other field is only skipped."""

    input: msgspec.Raw = msgspec.Raw(b"")


FINDER = msgspec.json.Decoder(Input)


def read_fields(body: bytes, most: int, limit: int) -> dict[str, object]:
    """The fields of the body. Raises ApiError.

    most, limit: items of a request and tokens of an item, for `items.read_items`
    """
    if len(body) <= WHOLE_BYTES:
        return parse_object(body)
    value = find_input(body)
    begin = offset(value, body)
    if len(body) - len(value) > REST_BYTES:
        message = f"The fields other than input have more than {REST_BYTES} bytes together, or input is given twice."
        raise invalid(None, message)
    fields = parse_object(b"".join((body[:begin], b"null", body[begin + len(value) :])))
    try:
        fields["input"] = read_items(str(value, "utf-8"), most, limit)
    except UnicodeDecodeError:
        raise invalid(None, NOT_UTF8) from None
    except ValueError:
        raise invalid(None, NOT_JSON) from None
    return fields


def find_input(body: bytes) -> memoryview:
    """The value of the last field `input`, a part of the body; empty if there is none. Raises ApiError."""
    try:
        return memoryview(FINDER.decode(body).input)
    except msgspec.ValidationError:
        raise invalid(None, NO_OBJECT) from None
    except msgspec.DecodeError:
        # msgspec does not distinguish them.
        raise invalid(None, "The body is not valid JSON, or contains half of a surrogate pair.") from None
    except RecursionError:
        raise invalid(None, DEEP) from None


def offset(part: memoryview, whole: bytes) -> int:
    """Where `part` begins, which is a view into `whole`; 0 if it is empty."""
    begins = [np.frombuffer(view, dtype=np.uint8).ctypes.data for view in (part, whole) if len(view)]
    return begins[0] - begins[1] if len(part) else 0


def parse_object(body: bytes) -> dict[str, object]:
    """JSON by RFC 8259, without what parsers read differently: duplicate keys, NaN, a byte order mark."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=distinct, parse_constant=refuse_constant)
    except ApiError:
        raise
    except UnicodeDecodeError:
        raise invalid(None, NOT_UTF8) from None
    except RecursionError:
        raise invalid(None, DEEP) from None
    except ValueError:
        # Also a whole number with more digits than Python converts.
        raise invalid(None, NOT_JSON) from None
    if not isinstance(value, dict):
        raise invalid(None, NO_OBJECT)
    return value


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise invalid(printable(name), f"{printable(name)} is given twice.")
    return fields


def refuse_constant(name: str) -> NoReturn:
    raise invalid(None, f"The body contains {name}, which is not JSON.")


def printable(name: str) -> str:
    """A field's name in a form that errors and the log may contain."""
    return (
        name
        if len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()
        else "with an unprintable or overlong name"
    )
