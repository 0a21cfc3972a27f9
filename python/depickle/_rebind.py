"""Replaces a function in every loaded module that refers to it by a global name."""

import sys
from typing import Any


def rebind(old: Any, new: Any) -> list[Any]:
    """Replaces `old` by `new` under every global name of every loaded module (also names from `from … import`).

    Returns a record for `undo`. Lazy modules are not loaded.
    """
    replaced: list[Any] = []
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or names.get("__name__", "").partition(".")[0] == "depickle":
            continue
        for name, value in list(names.items()):
            if value is old:
                names[name] = new
                replaced.append((names, name, old, new))
    return replaced


def undo(replaced: list[Any]) -> None:
    """Undoes a `rebind`, except for names that were assigned again since."""
    for names, name, old, new in reversed(replaced):
        if names.get(name) is new:
            names[name] = old
    replaced.clear()
