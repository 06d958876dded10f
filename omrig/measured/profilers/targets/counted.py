"""Code that counts, at the beginning of each of its lines, in which stage that was.

A line profiler knows lines, and no stages. So before each line a function's code gets instructions
that ask for the number of the stage and add one to its count. They call nothing else, so there is
no frame of theirs that anybody could see, and they belong to the line that they count: whoever
times lines times them with it.

What they do in Python is ``counts[where()] += 1``. Where a line can be reached by jumps it is
counted at each of them, but within a line nothing is counted; only the proportions matter.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import CodeType

from bytecode import BinaryOp, Bytecode, ConcreteBytecode, Instr, Label
from bytecode.instr import SetLineno, TryBegin, TryEnd

SUPPORTED = (3, 11) <= sys.version_info[:2] <= (3, 13)
"""Whether this Python's instructions are known here."""

_UNSPLIT_BEFORE = frozenset(
    {
        # The beginning of a function, before which nothing may run
        "RESUME",
        "COPY_FREE_VARS",
        "MAKE_CELL",
        "RETURN_GENERATOR",
        # What the interpreter expects where it goes on after a jump or a yield
        "SEND",
        "END_SEND",
        "CLEANUP_THROW",
        "END_FOR",
        "PUSH_EXC_INFO",
        # What belongs to the instruction before
        "PRECALL",
        "CALL",
        "CALL_KW",
        "YIELD_VALUE",
    }
)
_UNSPLIT_AFTER = frozenset({"RETURN_GENERATOR", "KW_NAMES", "PRECALL", "END_FOR"})


_DEEPEST = 4
"""So many values the instructions have on the stack at most."""


class Counts:
    """How often each line of one function began in each stage.

    ``by_line`` has a list a line: its first number is for no message.
    """

    def __init__(self, stages: int) -> None:
        self._size = stages + 1
        self._lines: dict[int, _Line] = {}

    def line(self, number: int) -> "_Line":
        """What the code of this line counts into."""
        if number not in self._lines:
            self._lines[number] = _Line([0] * self._size)
        return self._lines[number]

    def by_line(self) -> dict[int, list[int]]:
        """The counts of each line that began."""
        return {number: line.counts for number, line in self._lines.items() if any(line.counts)}


class _Line:
    """Holds the counts of a line: constants of code must have a hash, and lists have none."""

    __slots__ = ("counts",)

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts


def counting(code: CodeType, where: Callable[[], int], counts: Counts) -> CodeType:
    """The code, with instructions that count its lines into ``counts``.

    Raises ``ValueError`` for code that cannot be taken apart and put together.
    """
    if not SUPPORTED:
        raise ValueError("the instructions of this Python are not known")
    compiled = ConcreteBytecode.from_code(code)
    # How deep the stack is when an exception is caught stays as the compiler had it: the library
    # finds it out wrongly in some functions, which then crash, and it takes most of the time.
    taken = compiled.to_bytecode(conserve_exception_block_stackdepth=True)
    made = list(_counted(taken, where, counts))
    taken.clear()
    taken.extend(made)
    try:
        found = taken.to_concrete_bytecode(compute_exception_stack_depths=False)
    except (RuntimeError, OverflowError) as error:
        raise ValueError(f"{code.co_qualname}: {error}") from error
    if _caught(found) != _caught(compiled):
        raise ValueError(f"{code.co_qualname}: what it catches cannot be kept")
    return found.to_code(
        stacksize=code.co_stacksize + _DEEPEST, compute_exception_stack_depths=False
    )


def _caught(code: ConcreteBytecode) -> list[tuple[int, bool]]:
    """The ranges in which exceptions are caught: depth of the stack, and whether its place is."""
    return sorted((entry.stack_depth, entry.push_lasti) for entry in code.exception_table)


_Element = Instr | Label | TryBegin | TryEnd | SetLineno


def _counted(taken: Bytecode, where: Callable[[], int], counts: Counts) -> Iterator[_Element]:
    entered = _entered_from(taken)
    line: int | None = None
    due, before = False, ""
    for element in taken:
        if isinstance(element, Label):
            came_from = entered.get(element, set())
            # A handler, or a jump from another line or back: whatever ran before, a line begins.
            if came_from - {line}:
                line = None
        if not isinstance(element, Instr):
            yield element
            continue
        number = element.lineno
        if isinstance(number, int):
            due, line = due or number != line, number
            if due and element.name not in _UNSPLIT_BEFORE and before not in _UNSPLIT_AFTER:
                yield from _count(element, where, counts.line(number))
                due = False
        before = element.name
        yield element


_BACKWARD = -1


def _entered_from(taken: Bytecode) -> dict[Label, set[int | None]]:
    """The lines from which each label is jumped to; -1 for a jump back, None for an exception."""
    sources: defaultdict[Label, set[int | None]] = defaultdict(set)
    seen: set[Label] = set()
    for element in taken:
        if isinstance(element, Label):
            seen.add(element)
        elif isinstance(element, TryBegin):
            if isinstance(element.target, Label):
                sources[element.target].add(None)
        elif isinstance(element, Instr) and isinstance(element.arg, Label):
            back = element.arg in seen
            line = element.lineno
            sources[element.arg].add(_BACKWARD if back else line if isinstance(line, int) else None)
    return sources


def _count(at: Instr, where: Callable[[], int], line: _Line) -> Iterator[Instr]:
    """``line.counts[where()] += 1``, at the place in the source where ``at`` is."""

    def instruction(name: str, *argument: object) -> Instr:
        return Instr(name, *argument, location=at.location)

    asked = [instruction("PUSH_NULL"), instruction("LOAD_CONST", where)]
    # Python 3.13 wants the NULL on top.
    yield from reversed(asked) if sys.version_info >= (3, 13) else asked
    if sys.version_info < (3, 12):
        yield instruction("PRECALL", 0)
    yield instruction("CALL", 0)
    yield instruction("LOAD_CONST", line)
    yield instruction("LOAD_ATTR", "counts" if sys.version_info < (3, 12) else (False, "counts"))
    yield instruction("SWAP", 2)
    yield instruction("COPY", 2)
    yield instruction("COPY", 2)
    yield instruction("BINARY_SUBSCR")
    yield instruction("LOAD_CONST", 1)
    yield instruction("BINARY_OP", BinaryOp.INPLACE_ADD)
    yield instruction("SWAP", 3)
    yield instruction("SWAP", 2)
    yield instruction("STORE_SUBSCR")
