"""A small assembler of classic BPF, the language that seccomp filters are written in.

A filter is a list of blocks. Each block decides one thing and otherwise falls through to the next, with the number of
the system call in the accumulator: no jump leaves its block, so blocks may be put together in any way.
"""

import struct

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERRNO = 0x00050000

_LOAD_WORD = 0x20  # A = the 32-bit word of `struct seccomp_data` at an offset
_JUMP_EQUAL = 0x15
_JUMP_GREATER_OR_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_AND = 0x54
_RETURN = 0x06

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets; an argument has 8 bytes, its low half first

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
Block = list[Instruction]


def refuse_with(errno: int) -> int:
    """The verdict that lets a call fail."""
    return _ERRNO | errno


def begin(architecture: int) -> Block:
    """Kill whatever calls by the numbers of another architecture, and load the number of the call."""
    return [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, KILL),
        (_LOAD_WORD, 0, 0, _NUMBER),
    ]


def on_call(number: int, verdict: int) -> Block:
    """One call ends with a verdict."""
    return [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]


def on_calls_from(number: int, verdict: int) -> Block:
    """Every call whose number is not below this one ends with a verdict."""
    return [(_JUMP_GREATER_OR_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]


def on_flag(number: int, argument: int, bits: int, verdict: int) -> Block:
    """A call ends with a verdict where an argument has any of these bits."""
    return _on_argument(number, argument, [(_JUMP_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, verdict)])


def on_value(number: int, argument: int, value: int, verdict: int) -> Block:
    """A call ends with a verdict where an argument is this."""
    return _on_argument(number, argument, [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, verdict)])


def on_other(number: int, argument: int, values: tuple[int, ...], verdict: int, *, mask: int = 0xFFFFFFFF) -> Block:
    """A call ends with a verdict where an argument, its bits under the mask, is none of these values."""
    known = [(_JUMP_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return _on_argument(number, argument, [(_AND, 0, 0, mask), *known, (_RETURN, 0, 0, verdict)])


def on_masked(number: int, argument: int, mask: int, value: int, verdict: int) -> Block:
    """A call ends with a verdict where an argument's bits under the mask are this."""
    test = [(_AND, 0, 0, mask), (_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, verdict)]
    return _on_argument(number, argument, test)


def end() -> Block:
    """Everything else is allowed."""
    return [(_RETURN, 0, 0, ALLOW)]


def assemble(blocks: list[Block]) -> bytes:
    """The filter as the kernel takes it, 8 bytes an instruction."""
    return b"".join(struct.pack("=HBBI", *instruction) for block in blocks for instruction in block)


def _on_argument(number: int, argument: int, test: Block) -> Block:
    load = (_LOAD_WORD, 0, 0, _ARGUMENTS + 8 * argument)
    back = (_LOAD_WORD, 0, 0, _NUMBER)
    return [(_JUMP_EQUAL, 0, len(test) + 2, number), load, *test, back]
