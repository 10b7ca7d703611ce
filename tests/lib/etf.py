"""etf: Erlang's external term format as client libraries write and read it, by the letter of
https://www.erlang.org/doc/apps/erts/erl_ext_dist.html, and nothing that a gateway has no use for."""
import struct


class Atom(str):
    """A name; nil, true and false are None, True and False."""


def encode(value):
    return b"\x83" + _term(value)


def _sized(tag, form, data):
    return tag + struct.pack(form, len(data)) + data


def _integer(value):
    if 0 <= value <= 255:
        return b"a" + bytes([value])
    if -1 << 31 <= value < 1 << 31:
        return b"b" + struct.pack(">i", value)
    digits = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    return b"n" + bytes([len(digits), value < 0]) + digits


def _term(value):
    """Bytes become what Erlang makes of a list of small numbers."""
    if value is None or isinstance(value, bool):
        return _term(Atom("nil" if value is None else str(value).lower()))
    if isinstance(value, Atom):
        return _sized(b"s", "B", value.encode())
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"F" + struct.pack(">d", value)
    if isinstance(value, str):
        return _sized(b"m", ">I", value.encode())
    if isinstance(value, bytes):
        return _sized(b"k", ">H", value)
    if isinstance(value, dict):
        return b"t" + struct.pack(">I", len(value)) + b"".join(_term(k) + _term(v) for k, v in value.items())
    if not value:
        return b"j"
    return b"l" + struct.pack(">I", len(value)) + b"".join(map(_term, value)) + b"j"


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "a term that is cut"
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def term(self):
        tag = self.take(1)
        if tag == b"a":
            return self.number("B")
        if tag == b"b":
            return self.number(">i")
        if tag == b"F":
            return self.number(">d")
        if tag == b"n":
            n, negative = self.number("B"), self.number("B")
            value = int.from_bytes(self.take(n), "little")
            return -value if negative else value
        if tag == b"s":
            name = Atom(self.take(self.number("B")).decode())
            return {"nil": None, "true": True, "false": False}.get(name, name)
        if tag == b"m":
            return self.take(self.number(">I")).decode()
        if tag == b"j":
            return []
        if tag == b"l":
            items = [self.term() for _ in range(self.number(">I"))]
            assert self.take(1) == b"j", "a list without an end"
            return items
        assert tag == b"t", f"a term of an unknown kind, {tag}"
        n, pairs = self.number(">I"), {}
        for _ in range(n):
            key = self.term()
            assert isinstance(key, str) and key not in pairs, f"a key that is no text or there twice: {key!r}"
            pairs[key] = self.term()
        return pairs


def decode(data):
    reader = Reader(data)
    assert reader.take(1) == b"\x83", "no term"
    value = reader.term()
    assert reader.at == len(data), "something behind a term"
    return value


def as_json(value):
    """The same as JSON clients have it: large numbers, which ids are here, as text (as erlpack makes them)."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 32:
        return str(value)
    return str(value) if isinstance(value, Atom) else value
