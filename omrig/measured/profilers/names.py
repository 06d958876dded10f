"""What functions are called, wherever they are installed and whichever line they are on.

Profilers know a function by its file, line and bare name. A function of the same name in the same
module is the same one to whoever compares two versions of it, though it has moved.
"""

import gc
import sys
import types
from collections.abc import Iterator

from omrig.model.callgraph import Key


class Names:
    """The modules and functions of this process, as they are when it is made."""

    def __init__(self) -> None:
        self._modules: dict[str, str] = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and name != "__main__":
                self._modules.setdefault(file, name)
        self._functions = {
            (code.co_filename, code.co_firstlineno, code.co_name): code.co_qualname
            for code in _codes()
        }

    def module(self, file: str) -> str:
        """The module in a file; the file itself where it is none that was imported."""
        return self._modules.get(file, file)

    def function(self, key: Key) -> str:
        """The qualified name of a function; its bare name where it is no longer there."""
        return self._functions.get(key, key[2])


def _codes() -> Iterator[types.CodeType]:
    pending = [each.__code__ for each in gc.get_objects() if isinstance(each, types.FunctionType)]
    seen: set[int] = set()
    while pending:
        code = pending.pop()
        if id(code) in seen:
            continue
        seen.add(id(code))
        yield code
        pending += [each for each in code.co_consts if isinstance(each, types.CodeType)]
