"""Putting a function in another's place, wherever modules have it by name."""

import sys
from typing import Any


def rebind(old: Any, new: Any) -> list[Any]:
    """Puts `new` wherever a loaded module has `old` under any name (also copies by `from … import`).

    Returns what `undo` needs. A module that is only loaded when it is used is not loaded by this.
    """
    done: list[Any] = []
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or names.get("__name__", "").partition(".")[0] == "depickle":
            continue
        for name, value in list(names.items()):
            if value is old:
                names[name] = new
                done.append((names, name, old, new))
    return done


def undo(done: list[Any]) -> None:
    """Undoes a `rebind`, but for names that others have set since."""
    for names, name, old, new in reversed(done):
        if names.get(name) is new:
            names[name] = old
    done.clear()
