"""The JSON of POST /v1/embeddings, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contract import FEWEST_DIMENSIONS
from ..settings import Settings
from .body import printable, read_fields
from .errors import ApiError, invalid, too_long
from .items import Tokens, as_tokens
from .texts import normalized_bytes

FIELDS = ("model", "input", "encoding_format", "dimensions", "instruction", "user")
LONGEST_INSTRUCTION = 4096
"""In characters. Every text is tokenized behind the instruction: without a limit, a small body could have any cost."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request whose fields have valid types and counts. The tokens of its texts are not counted yet."""

    texts: list[str] | None
    """Without the instruction. None if token IDs were sent."""
    sizes: list[int]
    """Maximum number of bytes of each text in NFC."""
    token_ids: list[Tokens] | None
    instruction: str | None
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
    fields = read_fields(body, settings.max_inputs, settings.context_length)
    for name in fields:
        if name not in FIELDS:
            raise invalid(printable(name), f"Unknown field {printable(name)}; allowed: {', '.join(FIELDS)}.")
    check_model(fields, settings)
    if not isinstance(fields.get("user"), str | None):
        raise invalid("user", "user must be a string.")
    instruction = read_instruction(fields)
    texts, token_ids, single = read_input(fields, settings.max_inputs, settings.context_length)
    if instruction is not None and texts is None:
        raise invalid("instruction", "instruction works with texts, not with token IDs: put it into the tokens.")
    dimensions, base64 = read_dimensions(fields, settings.dimensions), read_format(fields)
    sizes = [normalized_bytes(text) for text in texts or ()]
    return EmbeddingRequest(texts, sizes, token_ids, instruction, single, dimensions, base64)


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


def read_input(fields: dict[str, object], most: int, limit: int) -> tuple[list[str] | None, list[Tokens] | None, bool]:
    """Texts or token IDs, one of them None, and whether `input` was a single item."""
    items: Sequence[object]
    match fields.get("input"):
        case str() as text:
            items, texts, single = [text], True, True
        case np.ndarray() | [int(), *_] as token_ids:
            items, texts, single = [token_ids], False, True
        case [str(), *_] as several:
            items, texts, single = several, True, False
        case [list() | np.ndarray(), *_] as several:
            items, texts, single = several, False, False
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
    return None, [checked_token_ids(item, name, limit) for item, name in zip(items, names, strict=True)], single


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


def checked_token_ids(token_ids: object, name: str, limit: int) -> Tokens:
    if not isinstance(token_ids, list | np.ndarray):
        raise invalid(name, f"{name} must be a list of token IDs, as the item before it is.")
    if not len(token_ids):
        raise invalid(name, f"{name} must not be empty.")
    if isinstance(token_ids, np.ndarray):
        return token_ids
    # bool is an int to isinstance.
    wrong = next((position for position, token in enumerate(token_ids) if type(token) is not int), None)
    if wrong is not None:
        raise invalid(name, f"{name} contains something other than a whole number at position {wrong}.")
    if len(token_ids) > limit:
        raise too_long(name, limit, len(token_ids))
    return as_tokens(token_ids)


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
