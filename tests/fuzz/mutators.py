"""Makes hostile inputs out of good ones: of their bytes, and of their structure.

A good input is read once; what is remembered are the places of its values and members, so that one
hostile input costs a few slices. Everything follows from the generator that is handed in.
"""

from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251  (seeded by target and chunk)

import msgspec


def _words(text: str) -> list[str]:
    return text.split()


_NUMBERS = _words("""0 1 -1 2 60 61 99 100 101 9999 10000 10001 -10000 65536 2147483648 4294967296
9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775809 99999999999999999999
1000000000000000000000000000000 4102444800 4102444800000 253402300800 253402300800000 -62135596800
1.0 0.5 -0.0 -0 1e0 1e2 1E5 1e-7 0.1234567 1e308 1e1000000 1e-1000000
1e999999999 1e-999999999 0e999999999 1e9999999999999999999 123456789012.0000000000000000000001 1e400 -1e400 1e-400 1e99999 0.30000000000000004
3.141592653589793 00 01 +1 .5 1. 0x10 1_000 NaN Infinity -Infinity nan""")
_DECIMALS = _words("""0 0.00 0.0000 1 1.0000 0.5600 0.00001 0.0001 0.9999 1.0001 0.01 -0.01 -1 -0 +0.5 1e3 1E-2
NaN Infinity -inf .5 5. 0x10 1_000 1,000 999999999999999 9999999999999999
999999999999999.999999 1000000000000 92233720368547.75807 0.560000000000000000 0.5600000001 1/2
00000000000000.5 0.5.6 --5""")
_TIMES = _words("""0001-01-01T00:00:00Z 0001-01-02T00:00:00Z 9999-12-31T23:59:59Z 1970-01-01T00:00:00Z
1969-12-31T23:59:59Z 2099-12-31T23:59:59.999999Z 2100-01-01T00:00:00Z 2026-02-30T00:00:00Z
2026-11-21T25:00:00Z 2026-11-21T10:00:60Z 2026-11-21 2026-11-21T10:00:00 20261121T100000Z
2026-W47-6T10:00:00Z 2026-11-21T10:00:00.123456789Z 2026-11-21T10:00:00+14:00
2026-11-21T10:00:00-23:59 2026-11-21T10:00:00+99:99 9999-12-31T23:59:59-23:59
0001-01-01T00:00:00+23:59 """)
_WORDS = _words("""yes no bid ask YES Yes scalar void active resting executed canceled unknown finalized maybe
true false null None entry exit KXBTCD KXBTCD-26NOV2012-T89999.99 BTC BTC-USD BTC/USD * __proto__
default monday 24:00 24:01 -1:00 quadratic prod paper ../../etc/passwd ; $(id) %s {0}""")
_OTHER_DIGITS = ["\u0663", "\uff10.\uff15", "0.5\uff16", "\uff12026-11-21T10:00:00Z"]
_TEXTS = [
    *_OTHER_DIGITS,
    *_DECIMALS,
    *_TIMES,
    *_WORDS,
    "",
    " ",
    " 1",
    "1 ",
    "1\n",
    "\t",
    "\ufeff1",
    "\u202e",
    "é",
]
_RAW_TEXTS = (
    rb'"\u0000"', rb'"a\u0000b"', rb'"\ud800"', rb'"\udc00\ud800"', rb'"\ud83d\ude00"', b'"\xff"',
    b'"\xed\xa0\x80"', b'"\x01"', rb'"\x41"', b'"', b"'yes'", b'"\\', rb'"\u12"', b'"\xc0\x80"',
)  # fmt: skip
_SHAPES = (
    b"null", b"true", b"false", b"[]", b"{}", b"[null]", b"[[]]", b"{}{}", b"[1,2,3]", b'{"a":1}',
    b'["0.5","1"]', b'[["0.5000","1.00"],["0.50","1"]]', b"", b" ", b"undefined", b"/*x*/1", b",",
)  # fmt: skip
_HOSTILE = (
    *(number.encode() for number in _NUMBERS),
    *(f'"{text}"'.encode() for text in _NUMBERS),
    *(msgspec.json.encode(text) for text in _TEXTS),
    *_RAW_TEXTS,
    *_SHAPES,
)
_DEEP = (b"[" * 3000, b"[" * 3000 + b"]" * 3000, b'{"a":' * 2000 + b"1" + b"}" * 2000)
_LONG = (
    b'"' + b"x" * 70_000 + b'"',
    b'"' + b"9" * 5000 + b'"',
    b"9" * 5000,
    b"1" + b"0" * 400,
    b"0." + b"3" * 3000,
)
_NAMES = (b'"extra"', b'""', b'"__class__"', b'"type"', b'"id"', b'"ticker"', b'"msg"')
_BYTES = bytes(range(256)) + b'{}[]",:\\0123456789-.eE' * 8


class Json:
    """Makes inputs like the examples of one target."""

    def __init__(self, examples: Sequence[bytes]) -> None:
        self.examples = [_Example(each) for each in examples]
        self.values = list(
            {each.text[begin:end] for each in self.examples for begin, end in each.values
             if end - begin <= 400}
        )  # fmt: skip
        self.values.sort()

    def make(self, random: Random) -> bytes:
        """Return one input; one in fifty is a good one."""
        draw = random.random
        example = self.examples[int(draw() * len(self.examples))]
        kind = draw()
        if kind < 0.62:
            text = self._other_value(example, draw)
            # Some are hit twice, most once: a single fault must be found by itself.
            return self._again(text, draw) if kind < 0.12 else text
        if kind < 0.80:
            return self._members(example, draw)
        if kind < 0.98:
            return _bytes(example.text, draw)
        return example.text

    def _other_value(self, example: "_Example", draw: Callable[[], float]) -> bytes:
        begin, end = example.values[int(draw() * len(example.values))]
        text = example.text
        return text[:begin] + self._hostile(draw) + text[end:]

    def _hostile(self, draw: Callable[[], float]) -> bytes:
        kind = draw()
        if kind < 0.60:
            return _HOSTILE[int(draw() * len(_HOSTILE))]
        if kind < 0.80:
            return self.values[int(draw() * len(self.values))]
        if kind < 0.90:
            return b'"%d.%04d"' % (int(draw() ** 8 * 1e9), int(draw() * 10_000))
        if kind < 0.993:
            return b"%d" % int((draw() - 0.3) ** 9 * 4e19)
        deep_or_long = _DEEP if kind < 0.996 else _LONG
        return deep_or_long[int(draw() * len(deep_or_long))]

    def _again(self, text: bytes, draw: Callable[[], float]) -> bytes:
        at = text.find(b'":', int(draw() * len(text)))
        if at < 0:
            return text
        ends = [place for place in (text.find(b",", at), text.find(b"}", at)) if place > 0]
        return text if not ends else text[: at + 2] + self._hostile(draw) + text[min(ends) :]

    def _members(self, example: "_Example", draw: Callable[[], float]) -> bytes:
        text, kind = example.text, draw()
        if not example.members:
            return _bytes(text, draw)
        begin, end = example.members[int(draw() * len(example.members))]
        member = text[begin:end]
        if kind < 0.45:  # left out, with the comma after it or before it
            if text[end : end + 1] == b",":
                end += 1
            elif text[begin - 1 : begin] == b",":
                begin -= 1
            return text[:begin] + text[end:]
        if kind < 0.60:  # twice, the second with another value
            name = member[: member.index(b":") + 1] if b":" in member else b""
            return text[:end] + b"," + name + self._hostile(draw) + text[end:]
        if kind < 0.75:  # one that nobody knows
            name = _NAMES[int(draw() * len(_NAMES))]
            return text[:end] + b"," + name + b":" + self._hostile(draw) + text[end:]
        if kind < 0.90:  # another example's member
            other = self.examples[int(draw() * len(self.examples))]
            if other.members:
                first, last = other.members[int(draw() * len(other.members))]
                return text[:begin] + other.text[first:last] + text[end:]
        return text[:begin] + member[:-1] + text[end:]


class Binary:
    """Makes inputs of bytes without a grammar."""

    def __init__(self, examples: Sequence[bytes]) -> None:
        self.examples = list(examples)

    def make(self, random: Random) -> bytes:
        """Return one input."""
        draw = random.random
        example = self.examples[int(draw() * len(self.examples))]
        if draw() < 0.03:
            return example
        text = _bytes(example, draw)
        return _bytes(text, draw) if draw() < 0.3 else text


class Values:
    """Makes MessagePack out of values: JSON's mutations, written anew, and mutations of bytes."""

    def __init__(self, examples: Sequence[object]) -> None:
        packed = [msgspec.msgpack.encode(each) for each in examples]
        self.json = Json([msgspec.json.encode(msgspec.msgpack.decode(each)) for each in packed])
        self.binary = Binary(packed)

    def make(self, random: Random) -> bytes:
        """Return one input."""
        if random.random() < 0.5:
            return self.binary.make(random)
        try:
            return msgspec.msgpack.encode(msgspec.json.decode(self.json.make(random)))
        except (ValueError, RecursionError, OverflowError):
            return self.binary.make(random)


def _bytes(text: bytes, draw: Callable[[], float]) -> bytes:
    size = len(text)
    if not size:
        return bytes([int(draw() * 256)])
    kind, at = draw(), int(draw() * size)
    head, rest = text[:at], text[at + 1 :]
    if kind < 0.35:
        return head + _BYTES[(place := int(draw() * len(_BYTES))) : place + 1] + rest
    if kind < 0.50:
        return head + bytes([text[at] ^ 1 << int(draw() * 8)]) + rest
    if kind < 0.65:
        return head
    return _pieces(text, at, draw)


def _pieces(text: bytes, at: int, draw: Callable[[], float]) -> bytes:
    kind, until = draw(), at + 1 + int(draw() ** 3 * (len(text) - at))
    if kind < 0.43:
        return text[:at] + text[until:]
    if kind < 0.72:
        return text[:until] + text[at:until] + text[until:]
    return text[:at] + bytes([int(draw() * 256)]) + text[at:]


class _Example:
    """A good JSON input and where its values and members (or items) are."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.values: list[tuple[int, int]] = []
        self.members: list[tuple[int, int]] = []
        self._value(self._blank(0))

    def _blank(self, at: int) -> int:
        while self.text[at : at + 1] in (b" ", b"\n", b"\r", b"\t") and at < len(self.text):
            at += 1
        return at

    def _value(self, at: int) -> int:
        begin = at
        match self.text[at : at + 1]:
            case b"{":
                at = self._items(at, b"}", is_object=True)
            case b"[":
                at = self._items(at, b"]", is_object=False)
            case b'"':
                at = self._text_end(at)
            case _:
                while self.text[at : at + 1] not in (b",", b"}", b"]", b"", b" ", b"\n"):
                    at += 1
        self.values.append((begin, at))
        return at

    def _items(self, at: int, closing: bytes, *, is_object: bool) -> int:
        at = self._blank(at + 1)
        while self.text[at : at + 1] != closing:
            begin = at
            if is_object:
                at = self._blank(self._blank(self._text_end(at)) + 1)
            at = self._value(at)
            self.members.append((begin, at))
            at = self._blank(at)
            if self.text[at : at + 1] == b",":
                at = self._blank(at + 1)
        return at + 1

    def _text_end(self, at: int) -> int:
        at += 1
        while self.text[at : at + 1] != b'"':
            at += 2 if self.text[at : at + 1] == b"\\" else 1
        return at + 1
