"""The JSON of POST /v1/embeddings, checked."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import NoReturn

from ..contract import FEWEST_DIMENSIONS
from ..settings import Settings
from .errors import ApiError, invalid

FIELDS = ("model", "input", "encoding_format", "dimensions", "instruction", "user")
LONGEST_NAME = 64
LONGEST_INSTRUCTION = 4096
"""In characters. The instruction is put in front of every text: without a limit, one request could fill the memory."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request whose fields have valid types and counts. Its tokens are not counted yet."""

    texts: list[str] | None
    """Texts with the instruction in front. None if token IDs were sent."""
    token_ids: list[list[int]] | None
    single: bool
    """Whether `input` was one item rather than a list of items."""
    dimensions: int
    base64: bool

    @property
    def count(self) -> int:
        return len(self.texts if self.texts is not None else self.token_ids or ())

    def name(self, index: int) -> str:
        """The item's name in errors: the field as the client sent it."""
        return "input" if self.single else f"input[{index}]"


def read_request(body: bytes, settings: Settings) -> EmbeddingRequest:
    """Raises ApiError that names the invalid field."""
    fields = parse_object(body)
    for name in fields:
        if name not in FIELDS:
            raise invalid(printable(name), f"Unknown field {printable(name)}; allowed: {', '.join(FIELDS)}.")
    check_model(fields, settings)
    if not isinstance(fields.get("user"), str | None):
        raise invalid("user", "user must be a string.")
    instruction = read_instruction(fields)
    texts, token_ids, single = read_input(fields, settings.max_inputs)
    if instruction is not None:
        if texts is None:
            raise invalid("instruction", "instruction works with texts, not with token IDs: put it into the tokens.")
        texts = [f"Instruct: {instruction}\nQuery:{text}" for text in texts]
    return EmbeddingRequest(texts, token_ids, single, read_dimensions(fields, settings.dimensions), read_format(fields))


def parse_object(body: bytes) -> dict[str, object]:
    """JSON by RFC 8259, without what parsers read differently: duplicate keys, NaN, a byte order mark."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=distinct, parse_constant=refuse_constant)
    except ApiError:
        raise
    except UnicodeDecodeError:
        raise invalid(None, "The body is not UTF-8.") from None
    except RecursionError:
        raise invalid(None, "The body is nested too deeply.") from None
    except ValueError:
        # Also a whole number with more digits than Python converts.
        raise invalid(None, "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise invalid(None, "The body must be a JSON object.")
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


def check_model(fields: dict[str, object], settings: Settings) -> None:
    model = fields.get("model")
    if not isinstance(model, str):
        raise invalid("model", "model must be a string." if "model" in fields else "model is missing.")
    if model not in settings.model_names:
        message = f"This model does not exist; the available model is {settings.served_model}."
        raise ApiError(404, message, param="model", code="model_not_found")


def read_instruction(fields: dict[str, object]) -> str | None:
    instruction = fields.get("instruction")
    if instruction is None:
        return None
    if not isinstance(instruction, str) or not instruction:
        raise invalid("instruction", "instruction must be a string that is not empty.")
    if len(instruction) > LONGEST_INSTRUCTION:
        raise invalid("instruction", f"instruction has more than {LONGEST_INSTRUCTION} characters.")
    return checked_text(instruction, "instruction")


def read_input(fields: dict[str, object], most: int) -> tuple[list[str] | None, list[list[int]] | None, bool]:
    """Texts or token IDs, one of them None, and whether `input` was a single item."""
    items: list[object]
    match fields.get("input"):
        case str() as text:
            items, texts, single = [text], True, True
        case [int(), *_] as token_ids:
            items, texts, single = [token_ids], False, True
        case [str(), *_] as several:
            items, texts, single = list(several), True, False
        case [list(), *_] as several:
            items, texts, single = list(several), False, False
        case []:
            raise invalid("input", "input must not be empty.")
        case list():
            raise invalid("input[0]", "input[0] must be a string or a list of token IDs.")
        case _:
            raise invalid(
                "input",
                "input must be a string, or a list of strings, token IDs or lists of token IDs."
                if "input" in fields
                else "input is missing.",
            )
    if len(items) > most:
        raise invalid("input", f"input has more than {most} items.")
    names = ("input" if single else f"input[{index}]" for index in range(len(items)))
    if texts:
        return [checked_text(item, name) for item, name in zip(items, names, strict=True)], None, single
    return None, [checked_token_ids(item, name) for item, name in zip(items, names, strict=True)], single


def checked_text(text: object, name: str) -> str:
    if not isinstance(text, str):
        raise invalid(name, f"{name} must be a string, as the item before it is.")
    if not text:
        raise invalid(name, f"{name} must not be empty.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid(name, f"{name} contains half of a surrogate pair, which is not a character.") from None
    return text


def checked_token_ids(token_ids: object, name: str) -> list[int]:
    if not isinstance(token_ids, list):
        raise invalid(name, f"{name} must be a list of token IDs, as the item before it is.")
    if not token_ids:
        raise invalid(name, f"{name} must not be empty.")
    # bool is an int to isinstance.
    wrong = next((position for position, token in enumerate(token_ids) if type(token) is not int), None)
    if wrong is not None:
        raise invalid(name, f"{name} contains something other than a whole number at position {wrong}.")
    return token_ids


def read_dimensions(fields: dict[str, object], most: int) -> int:
    dimensions = fields.get("dimensions")
    if dimensions is None:
        return most
    if type(dimensions) is not int or not FEWEST_DIMENSIONS <= dimensions <= most:
        raise invalid("dimensions", f"dimensions must be a whole number from {FEWEST_DIMENSIONS} to {most}.")
    return dimensions


def read_format(fields: dict[str, object]) -> bool:
    """Whether vectors are returned as base64."""
    encoding = fields.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise invalid("encoding_format", "encoding_format must be float or base64.")
    return encoding == "base64"
