"""What ends a command of the harness; the text is for the developer who gave it."""


class VmError(Exception):
    """The family of everything that the harness itself reports."""
