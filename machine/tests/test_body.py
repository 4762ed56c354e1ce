"""A long body, read in parts, gives what it gives as a whole: the same request, or the same error."""

import json
import os
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwen3.contract import MODEL_ID, SERVED_MODEL
from qwen3.settings import read_settings
from qwen3.worker import body as reading
from qwen3.worker.body import REST_BYTES, WHOLE_BYTES, read_fields
from qwen3.worker.errors import ApiError
from qwen3.worker.request import read_request

MOST = 5
ENVIRONMENT = {
    "QWEN3_SERVED_MODEL": SERVED_MODEL,
    "QWEN3_MODEL_ID": MODEL_ID,
    "QWEN3_MODEL_PATH": "/m",
    "QWEN3_MAX_INPUTS": str(MOST),
}
with mock.patch.dict(os.environ, ENVIRONMENT):
    SETTINGS = read_settings()

Outcome = tuple[Any, ...]


def outcome(body: bytes, whole: int) -> Outcome:
    """The request's fields, or its error."""
    with mock.patch.object(reading, "WHOLE_BYTES", whole):
        try:
            request = read_request(body, SETTINGS)
        except ApiError as error:
            return "refused", error.status, error.param, error.message
    ids = None if request.token_ids is None else [item.tolist() for item in request.token_ids]
    return (
        *("accepted", request.texts, request.sizes, ids, request.instruction),
        *(request.single, request.dimensions, request.base64),
    )


NUMBERS = ["0", "-1", "-0", "5", "01", "1e2", "1.0", "1.5", "99999999999", "9" * 400, "9" * 5000, "1_0", "0x1"]
STRINGS = [
    '""',
    '"a"',
    '"]"',
    '"[1,2]"',
    '"é"',
    '"\\u0061"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\n,\\""',
    '"\t"',
    '"\\x"',
    '"😀"',
]
OTHERS = ["null", "true", "false", "NaN", "-Infinity", "{}", '{"a":1}', '{"a":1,"a":2}', "[]", "[[]]", "[[[1]]]"]
SPACES = st.sampled_from(["", "", "", " ", "\n\t\r "])
SCALARS = st.sampled_from(NUMBERS + STRINGS + OTHERS)


@st.composite
def json_list(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    parts = draw(st.lists(items, max_size=MOST + 2))
    return "[" + ",".join(draw(SPACES) + part + draw(SPACES) for part in parts) + "]"


LISTS = st.one_of(
    json_list(st.sampled_from(STRINGS)),
    json_list(st.sampled_from(["5", "0", "255"])),
    json_list(json_list(st.sampled_from(["5", "0", "255"]))),
    json_list(SCALARS),
    json_list(json_list(SCALARS)),
)
UNORDERED = ("not JSON", "not valid JSON", "not UTF-8", "given twice", "surrogate", "more than")
NAMES = st.sampled_from(
    ["input", "\\u0069nput", "model", "user", "instruction", "dimensions", "encoding_format", "rid"]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    fields = [("model", json.dumps(SERVED_MODEL)), ("input", draw(LISTS | SCALARS))]
    fields += draw(st.lists(st.tuples(NAMES, SCALARS | LISTS), max_size=1))
    fields = draw(st.permutations(fields))
    text = "{" + ",".join(f'{draw(SPACES)}"{name}"{draw(SPACES)}:{draw(SPACES)}{value}' for name, value in fields) + "}"
    body = text.encode()
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 2)) :]
    return draw(SPACES).encode() + body + draw(SPACES).encode()


@given(bodies())
@example(b'{"model":"Qwen3-Embedding-4B","input":[[1,[2],3]]}')
@example(b'{"model":"Qwen3-Embedding-4B","input":[1,"]",3]}')
def test_the_same_in_parts(body: bytes) -> None:
    whole, parts = outcome(body, len(body)), outcome(body, 0)
    if whole[0] == "accepted" or parts[0] == "accepted":
        assert parts == whole
        return
    assert parts[1] == whole[1]
    # Of several faults, another may be named: syntax is checked first, and a list is read until its first fault.
    if not any(text in f"{whole[3]} {parts[3]}" for text in UNORDERED):
        assert parts[2:] == whole[2:]


def long(text: str) -> bytes:
    return text.replace("LONG", "x" * WHOLE_BYTES).encode()


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (long('{"input": "LONG", "input": "a"}'), None, "given twice"),
        (long('{"input": "a", "input": "LONG"}'), "input", "input is given twice."),
        (long('{"user": "LONG"}'), None, f"more than {REST_BYTES} bytes"),
        (long('{"rid": 1, "input": "LONG"}'), "rid", "Unknown field rid"),
        (long('{"input": "LONG", "user": NaN}'), None, "not valid JSON"),
        (long('["LONG"]'), None, "must be a JSON object"),
        (long('{"input": "LONG"'), None, "not valid JSON"),
        (long('{"input": "LONG\xff"}').replace(b"\xc3\xbf", b"\xff"), None, "not UTF-8"),
        (long('{"input": "LONG\\ud800", "model": "Qwen3-Embedding-4B"}'), None, "half of a surrogate pair"),
        (b'{"input": ' + b"[" * 100_000, None, "nested too deeply"),
        (b'{"a":' * 100_000, None, "nested too deeply"),
        (b'{"model": "Qwen3-Embedding-4B", "input": ' + b"9" * 100_000 + b"}", "input", "must be a string, or a list"),
        (b'{"input": [' + b"1," * 100_000 + b"1]}", "input", "has 100001 tokens, more than the limit of 32768"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_long_bodies(body: bytes, param: str | None, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_request(body, SETTINGS)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("value", "count"), [('"b"', MOST + 1), ("[1,2]", MOST + 1), ('["b"]', 1), ("{}", 1), ("null", 1)]
)
def test_no_more_is_read_than_is_allowed(value: str, count: int) -> None:
    body = f'{{"input": [{",".join([value] * 100_000)}]}}'.encode()
    items = read_fields(body, MOST, 1 << 20)["input"]
    assert isinstance(items, list)
    assert len(items) == count


def test_a_long_text_is_whole() -> None:
    text = "é\n" * WHOLE_BYTES
    for ascii in (True, False):
        body = json.dumps({"model": SERVED_MODEL, "input": [text, "b"]}, ensure_ascii=ascii).encode()
        assert read_request(body, SETTINGS).texts == [text, "b"]
