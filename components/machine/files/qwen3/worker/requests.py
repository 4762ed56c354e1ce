"""The body of POST /v1/embeddings: read strictly, or refused with the field's name.

What is refused here would otherwise end SGLang's process tree (token IDs outside the vocabulary, empty lists) or give
a wrong vector without a word (unknown fields, a tail that is cut off).
"""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from ..settings import Settings
from .errors import ApiError, invalid

SMALLEST_DIMENSIONS = 32
DEEPEST = 3
"""Levels of a well-formed body: the object, the list of inputs, a list of token IDs."""
LONGEST_TEXT_FIELD = 4096
FIELDS = ("input", "model", "dimensions", "encoding_format", "instruction", "user")

Text = str
TokenIds = list[int]


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request whose every field has been checked; lengths in tokens are not known yet."""

    inputs: list[Text] | list[TokenIds]
    """Texts with the instruction applied, or token IDs."""
    single: bool
    """Whether `input` was one item and not a list: errors then name `input` without an index."""
    dimensions: int
    base64: bool

    def param(self, index: int) -> str:
        return "input" if self.single else f"input[{index}]"


def parse_request(body: bytes, settings: Settings, vocabulary: int) -> EmbeddingRequest:
    """Check a body. Raises ApiError."""
    fields = parse_json(body)
    for name in fields:
        if name not in FIELDS:
            raise invalid(name[:64], "This server has no such field. It has: " + ", ".join(FIELDS) + ".", "unknown_parameter")
    check_model(fields, settings)
    check_text(fields, "user", "")
    instruction = check_text(fields, "instruction", "")
    inputs, single = check_input(fields, settings, vocabulary)
    if instruction:
        if not isinstance(inputs[0], str):
            raise invalid("instruction", "An instruction goes with texts; token IDs must carry theirs already.")
        # The model card's form, without a space after "Query:".
        inputs = [f"Instruct: {instruction}\nQuery:{text}" for text in inputs]
    return EmbeddingRequest(
        inputs,
        single,
        check_dimensions(fields, settings),
        check_encoding(fields),
    )


def parse_json(body: bytes) -> dict[str, Any]:
    """An object in strict JSON: no key twice, no NaN, no lone surrogates, no depth that an embedding does not need."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(None, "The body is not UTF-8.") from None
    if deeper_than(text, DEEPEST):
        raise invalid(None, f"The body is nested deeper than {DEEPEST} levels.")
    try:
        document = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant, parse_int=bounded_int)
    except ApiError:
        raise
    except (ValueError, RecursionError):
        raise invalid(None, "The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise invalid(None, "The body is not a JSON object.")
    return document


def deeper_than(text: str, limit: int) -> bool:
    """Whether brackets outside strings nest deeper. Cheap: it looks only where brackets are."""
    if text.count("[") + text.count("{") <= limit:
        return False
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > limit:
                return True
        elif character in "]}":
            depth -= 1
    return False


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(twice[:64], "The field is there more than once.")
    return fields


def no_constant(name: str) -> NoReturn:
    raise invalid(None, "NaN and Infinity are not JSON.")


def bounded_int(digits: str) -> int:
    # Python refuses to read very long numbers, and everything here is far below this.
    return int(digits) if len(digits) <= 18 else 10**18


def check_model(fields: dict[str, Any], settings: Settings) -> None:
    model = fields.get("model")
    if not isinstance(model, str):
        raise invalid("model", f"The field model is required and must be a string: {settings.served_model}.")
    if model not in settings.model_names:
        raise ApiError(
            404, f"There is no such model. This server has {settings.served_model}.", param="model", code="model_not_found"
        )


def check_text(fields: dict[str, Any], name: str, default: str) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > LONGEST_TEXT_FIELD:
        raise invalid(name, f"The field must be a string of at most {LONGEST_TEXT_FIELD} characters.")
    check_unicode(value, name)
    return value


def check_unicode(text: str, param: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(param, "The text has a lone surrogate, which is not valid Unicode.") from None


def check_dimensions(fields: dict[str, Any], settings: Settings) -> int:
    value = fields.get("dimensions")
    if value is None:
        return settings.dimensions
    if type(value) is not int or not SMALLEST_DIMENSIONS <= value <= settings.dimensions:
        raise invalid("dimensions", f"Must be a whole number from {SMALLEST_DIMENSIONS} to {settings.dimensions}.")
    return value


def check_encoding(fields: dict[str, Any]) -> bool:
    value = fields.get("encoding_format")
    if value not in (None, "float", "base64"):
        raise invalid("encoding_format", "Must be float or base64.")
    return value == "base64"


def check_input(fields: dict[str, Any], settings: Settings, vocabulary: int) -> tuple[list[Text] | list[TokenIds], bool]:
    value = fields.get("input")
    if isinstance(value, str):
        check_input_text(value, "input")
        return [value], True
    if not isinstance(value, list):
        raise invalid("input", "The field input is required: a string, a list of strings, or lists of token IDs.")
    if not value:
        raise invalid("input", "Must not be empty.")
    if isinstance(value[0], int):
        check_token_ids(value, "input", settings, vocabulary)
        return [value], True
    if len(value) > settings.max_inputs:
        raise invalid("input", f"Has {len(value)} items; at most {settings.max_inputs} are allowed.")
    if isinstance(value[0], str):
        for index, text in enumerate(value):
            if not isinstance(text, str):
                raise invalid(f"input[{index}]", "Must be a string, as the first item is.")
            check_input_text(text, f"input[{index}]")
    else:
        for index, ids in enumerate(value):
            check_token_ids(ids, f"input[{index}]", settings, vocabulary)
    return value, False


def check_input_text(text: str, param: str) -> None:
    if not text:
        raise invalid(param, "Must not be an empty string.")
    check_unicode(text, param)


def check_token_ids(ids: Any, param: str, settings: Settings, vocabulary: int) -> None:
    if not isinstance(ids, list):
        raise invalid(param, "Must be a string or a list of token IDs, and the same for every item.")
    if not ids:
        raise invalid(param, "Must not be empty.")
    # Before a look at each of them: a list may be as long as the body allows.
    check_length(len(ids), param, settings)
    if not all(type(token) is int and 0 <= token < vocabulary for token in ids):
        raise invalid(param, f"Token IDs must be whole numbers from 0 to {vocabulary - 1}.")


def check_length(tokens: int, param: str, settings: Settings) -> None:
    """Raise ApiError when an item is longer than the context: nothing is ever cut off."""
    if tokens > settings.context_length:
        raise invalid(
            param,
            f"Has {tokens} tokens; at most {settings.context_length} are allowed, the end-of-text token included.",
            "context_length_exceeded",
        )
