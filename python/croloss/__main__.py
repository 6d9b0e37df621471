"""The command `croloss`: finds libtorch and becomes the program."""

import os
import sys

from ._error import Error
from ._libtorch import PROGRAM, environment


def main() -> None:
    try:
        variables = environment()
    except Error as error:
        sys.exit(f"croloss: {error}")
    os.execve(PROGRAM, ["croloss", *sys.argv[1:]], variables)


if __name__ == "__main__":
    main()
