"""The binary tensors of Open Inference V2: a JSON head, and behind it the bytes of the tensors it describes, in order.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/extension_binary_data.md
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.serving.http import BadRequestError
from penstock.serving.protocols.tensors import Tensor, Values

LENGTH_HEADER = b"inference-header-content-length"
CONTENT_TYPE = b"application/octet-stream"
_SIZE = 4  # bytes of the length before each element of a BYTES tensor
_TYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("u1"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}


def split_body(body: bytes, length: bytes) -> tuple[bytes, memoryview]:
    """The JSON head of a body, and the bytes behind it.

    Args:
        body: the whole.
        length: of the head in bytes, as the header says it.

    Raises:
        BadRequestError: it is no number, or more than there is.
    """
    if not (length.isdigit() and len(length) < 20 and int(length) <= len(body)):
        raise BadRequestError(
            f"Inference-Header-Content-Length is {length[:50].decode('latin-1')!r} and the body has {len(body)} bytes",
            hint="give the number of bytes of the JSON before the tensors",
        )
    size = int(length)
    return body[:size], memoryview(body)[size:]


def read_binary(tensors: Sequence[Tensor], tail: memoryview) -> list[Values | None]:
    """The values of those tensors that stand behind the head; None for those in it.

    Raises:
        InvalidInputError: a tensor's bytes do not fit its type, or the sizes do not add up.
    """
    found: list[Values | None] = []
    at = 0
    for place, tensor in enumerate(tensors):
        size = tensor.parameters.binary_data_size
        if size is None:
            found.append(None)
            continue
        field = f"inputs[{place}].parameters.binary_data_size"
        if not 0 <= size <= len(tail) - at:
            raise InvalidInputError(f"{field}: {size}, and {len(tail) - at} bytes are left in the body", field=field)
        found.append(_read_values(tensor, tail[at : at + size], field))
        at += size
    if at != len(tail):
        raise InvalidInputError(
            f"{len(tail) - at} bytes behind the last tensor belong to none",
            hint="every tensor in the body needs its binary_data_size",
            field="inputs",
        )
    return found


def write_values(tensor: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """An output tensor without its values, and those as bytes."""
    data = tensor["data"]
    if tensor["datatype"] == "BYTES":
        texts = [str(value).encode() for value in data]
        raw = b"".join(len(text).to_bytes(_SIZE, "little") + text for text in texts)
    else:
        raw = np.asarray(data, dtype=_TYPES[tensor["datatype"]]).tobytes()
    head = {name: value for name, value in tensor.items() if name != "data"}
    head["parameters"] = {**tensor.get("parameters", {}), "binary_data_size": len(raw)}
    return head, raw


def _read_values(tensor: Tensor, raw: memoryview, field: str) -> Values:
    if tensor.datatype == "BYTES":
        return _read_texts(raw, field)
    kind = _TYPES.get(tensor.datatype)
    if kind is None:
        raise InvalidInputError(f"{field}: there is no datatype {tensor.datatype!r}", field=field)
    wanted = math.prod(tensor.shape) * kind.itemsize
    if len(raw) != wanted:
        raise InvalidInputError(
            f"{field}: {len(raw)}, and {tensor.shape} of {tensor.datatype} are {wanted} bytes", field=field
        )
    values: NDArray[Any] = np.frombuffer(raw, dtype=kind)
    if tensor.datatype == "BF16":  # the upper half of a 32-bit float
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return (values != 0).tolist() if tensor.datatype == "BOOL" else values


def _read_texts(raw: memoryview, field: str) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + _SIZE], "little")
        end = at + _SIZE + size
        if at + _SIZE > len(raw) or end > len(raw):
            raise InvalidInputError(f"{field}: element {len(texts)} reaches beyond the tensor's end", field=field)
        try:
            texts.append(str(raw[at + _SIZE : end], "utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{field}: element {len(texts)} is not UTF-8", field=field) from error
        at = end
    return texts
