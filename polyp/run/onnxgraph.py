"""Cut an ONNX file at one of its outputs, without the package `onnx`, which prediction alone does not need.

ONNX Runtime computes every node of a file, those included whose results nobody asks for. An ONNX file is a
`ModelProto` in the protocol-buffer encoding (https://protobuf.dev/programming-guides/encoding/): fields,
each with a number, of which only a few have to be understood here.
"""

from collections.abc import Iterator

GRAPH = 7  # of ModelProto, see onnx.proto
NODE, OUTPUT = 1, 12  # of GraphProto
NODE_INPUT, NODE_OUTPUT, VALUE_NAME = 1, 2, 1  # of NodeProto and ValueInfoProto

Field = tuple[int, bytes, bytes]  # its number; what it holds, if it has a length; all of its bytes


def cut_at(content: bytes, name: str) -> bytes:
    """The same file with one output, and only the nodes that it needs.

    Args:
        content: an ONNX file, with its nodes in the order of computation, as ONNX demands.
        name: of the output to keep.

    Raises:
        ValueError: not an ONNX file.
    """
    return b"".join(
        _with_length(GRAPH, _cut_graph(held, name)) if number == GRAPH else whole
        for number, held, whole in _fields(content)
    )


def _cut_graph(graph: bytes, name: str) -> bytes:
    fields = list(_fields(graph))
    needed, unused = {name.encode()}, set()
    for index in reversed([index for index, (number, *_) in enumerate(fields) if number == NODE]):
        node = list(_fields(fields[index][1]))
        if needed.isdisjoint(held for number, held, _ in node if number == NODE_OUTPUT):
            unused.add(index)
        else:
            needed.update(held for number, held, _ in node if number == NODE_INPUT)
    for index, (number, held, _) in enumerate(fields):
        if number == OUTPUT and (VALUE_NAME, name.encode()) not in [field[:2] for field in _fields(held)]:
            unused.add(index)
    return b"".join(whole for index, (_, _, whole) in enumerate(fields) if index not in unused)


def _fields(message: bytes) -> Iterator[Field]:
    """The fields of a message, in their order."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        held, kind = b"", tag & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            length, at = _varint(message, at)
            held, at = message[at : at + length], at + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no field of a protocol buffer: kind {kind}")
        if at > len(message):
            raise ValueError("a protocol buffer that ends early")
        yield tag >> 3, held, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a protocol buffer that ends early")
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not message[at - 1] & 128:
            return value, at


def _with_length(number: int, held: bytes) -> bytes:
    return _as_varint(number << 3 | 2) + _as_varint(len(held)) + held


def _as_varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
