"""What to search for, to find a secret as it is and in base64."""

import base64
import binascii
from collections.abc import Iterator

WRAPPED = 72
"""Characters of base64 that are searched for, in three pieces: one of them is whole, however the text is wrapped."""
LINE = 64
"""Of a PEM file."""
SHORTEST = 16
"""Bytes of a number that is secret: the others in a private key are versions and exponents."""
NESTED = 80
"""Longer OCTET STRINGs in a private key contain a document, shorter ones a number."""
INTEGER, OCTET_STRING, CONSTRUCTED = 0x02, 0x04, 0x20


def key_needles(key: str) -> Iterator[bytes]:
    return needles(key.encode())


def private_key_needles(pem: str) -> Iterator[bytes]:
    """The secret number of a key, as bytes, in the PEM file, and in a PEM file that was encoded again.

    Raises ValueError, without the key, if it is not a private key in PEM.
    """
    der = pem_body(pem)
    number = secret_number(der)
    yield from needles(number)
    yield from needles(longest_part(base64.b64encode(der), number, der.index(number)))


def needles(secret: bytes) -> Iterator[bytes]:
    yield secret
    for skipped in range(3):
        # Three bytes become four characters. The bytes of an incomplete three depend on what is next to the secret.
        whole = secret[skipped:]
        encoded = base64.b64encode(whole[: len(whole) // 3 * 3])[:WRAPPED]
        size = len(encoded) // 3
        for at in (0, size, 2 * size):
            piece = encoded[at : at + size]
            yield piece
            yield piece.translate(bytes.maketrans(b"+/", b"-_"))


def pem_body(pem: str) -> bytes:
    try:
        return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-")), validate=True)
    except binascii.Error:
        raise ValueError("not a PEM file") from None


def secret_number(der: bytes) -> bytes:
    """Of an EC key its number; of an RSA key the private exponent, which follows the modulus and the public one."""
    numbers = [(tag, value) for tag, value in values(der) if len(value) >= SHORTEST]
    octets = [value for tag, value in numbers if tag == OCTET_STRING]
    integers = [value for tag, value in numbers if tag == INTEGER]
    found = octets[:1] or integers[1:2]
    if not found:
        raise ValueError("no secret number in the private key")
    return found[0]


def values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents of each value in a DER document that contains no others. Raises ValueError."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], int.from_bytes(der[at + 1 : at + 2], "big"), at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        contents = der[at : at + length]
        if len(contents) != length:
            raise ValueError("not a DER document")
        at += length
        if tag & CONSTRUCTED or (tag == OCTET_STRING and length > NESTED):
            yield from values(contents)
        else:
            yield tag, contents


def longest_part(body: bytes, number: bytes, offset: int) -> bytes:
    """The longest part of a number that is on one line of a PEM file with this body."""
    first, last = -(-4 * offset // 3), 4 * (offset + len(number)) // 3
    parts = [body[max(first, line) : min(last, line + LINE)] for line in range(0, last, LINE)]
    return max(parts, key=len)
