"""`depickle` and `python -m depickle`: replaces this process with the bundled program."""

import os
import sys
from typing import NoReturn

from depickle import _program


def main() -> NoReturn:
    try:
        program = _program.find()
        os.execv(program, ["depickle", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
