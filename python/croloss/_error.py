"""What went wrong."""


class Error(Exception):
    """A sentence of the program, or of this module, that says what is wrong and what to do.

    `status` is the program's exit status: 1 for what failed, 2 for what was asked wrongly, negative for
    a signal that ended it.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
