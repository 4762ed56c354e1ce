"""What is asked, checked: the body of POST /v1/embeddings to an EmbeddingRequest."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

from ..settings import SHORTEST_VECTOR, Settings
from .errors import ApiError, invalid

FIELDS = ("model", "input", "encoding_format", "dimensions", "instruction", "user")
LONGEST_NAME = 64
LONGEST_INSTRUCTION = 4096
"""Characters. Every text of a request gets the instruction in front: without a limit one request would fill the memory."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request whose fields are of the right types and counts; its tokens are not counted yet."""

    texts: list[str] | None
    """Texts as the model reads them, instruction applied; None where token IDs were sent."""
    token_ids: list[list[int]] | None
    single: bool
    """Whether `input` was one item rather than a list of items."""
    dimensions: int
    base64: bool

    @property
    def count(self) -> int:
        return len(self.texts if self.texts is not None else self.token_ids or ())

    def name(self, index: int) -> str:
        """What an error calls the item: the field as the client sent it."""
        return "input" if self.single else f"input[{index}]"


def read_request(body: bytes, settings: Settings) -> EmbeddingRequest:
    """Raises ApiError that names the field at fault."""
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


def parse_object(body: bytes) -> dict[str, Any]:
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
        # Also a whole number of more digits than Python converts.
        raise invalid(None, "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise invalid(None, "The body must be a JSON object.")
    return value


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise invalid(printable(name), f"{printable(name)} is given twice.")
    return fields


def refuse_constant(name: str) -> NoReturn:
    raise invalid(None, f"The body holds {name}, which is not JSON.")


def printable(name: str) -> str:
    """A field's name as it may stand in an error and in a log."""
    return (
        name
        if len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()
        else "with an unprintable or overlong name"
    )


def check_model(fields: dict[str, Any], settings: Settings) -> None:
    model = fields.get("model")
    if not isinstance(model, str):
        raise invalid("model", "model must be a string." if "model" in fields else "model is missing.")
    if model not in settings.model_names:
        message = f"This model does not exist here; the model is {settings.served_model}."
        raise ApiError(404, message, param="model", code="model_not_found")


def read_instruction(fields: dict[str, Any]) -> str | None:
    instruction = fields.get("instruction")
    if instruction is None:
        return None
    if not isinstance(instruction, str) or not instruction:
        raise invalid("instruction", "instruction must be a string that is not empty.")
    if len(instruction) > LONGEST_INSTRUCTION:
        raise invalid("instruction", f"instruction has more than {LONGEST_INSTRUCTION} characters.")
    check_text(instruction, "instruction")
    return instruction


def read_input(fields: dict[str, Any], most: int) -> tuple[list[str] | None, list[list[int]] | None, bool]:
    """Texts or token IDs, one of them None, and whether `input` was a single item."""
    value = fields.get("input")
    texts: list[str] | None
    token_ids: list[list[int]] | None
    match value:
        case str():
            texts, token_ids, single = [value], None, True
        case [int(), *_]:
            texts, token_ids, single = None, [value], True
        case [str(), *_]:
            texts, token_ids, single = value, None, False
        case [list(), *_]:
            texts, token_ids, single = None, value, False
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
    if len(texts or token_ids or ()) > most:
        raise invalid("input", f"input has more than {most} items.")
    for index, item in enumerate(texts or token_ids or ()):
        name = "input" if single else f"input[{index}]"
        if texts is not None:
            check_text(item, name)
        else:
            check_token_ids(item, name)
    return texts, token_ids, single


def check_text(text: Any, name: str) -> None:
    if not isinstance(text, str):
        raise invalid(name, f"{name} must be a string, as the item before it is.")
    if not text:
        raise invalid(name, f"{name} must not be empty.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid(name, f"{name} holds half of a surrogate pair, which is no character.") from None


def check_token_ids(token_ids: Any, name: str) -> None:
    if not isinstance(token_ids, list):
        raise invalid(name, f"{name} must be a list of token IDs, as the item before it is.")
    if not token_ids:
        raise invalid(name, f"{name} must not be empty.")
    # bool is an int to isinstance.
    wrong = next((position for position, token in enumerate(token_ids) if type(token) is not int), None)
    if wrong is not None:
        raise invalid(name, f"{name} holds something other than a whole number at position {wrong}.")


def read_dimensions(fields: dict[str, Any], most: int) -> int:
    dimensions = fields.get("dimensions")
    if dimensions is None:
        return most
    if type(dimensions) is not int or not SHORTEST_VECTOR <= dimensions <= most:
        raise invalid("dimensions", f"dimensions must be a whole number from {SHORTEST_VECTOR} to {most}.")
    return dimensions


def read_format(fields: dict[str, Any]) -> bool:
    """Whether vectors are wanted as base64."""
    encoding = fields.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise invalid("encoding_format", "encoding_format must be float or base64.")
    return encoding == "base64"
