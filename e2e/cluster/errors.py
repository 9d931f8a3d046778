"""What ends a command of the harness; the text is for the developer who gave it."""


class ClusterError(Exception):
    """The family of everything that the harness itself reports."""


class CannotBuildError(ClusterError):
    """Something of the cluster cannot be built here; the text says what is missing."""


class StartFailedError(ClusterError):
    """A part of the cluster did not come up; the text ends with what it said."""


class NotRunningError(ClusterError):
    """There is no cluster, or no such node in it."""


class CommandFailedError(ClusterError):
    """A command in the cluster ended badly; the text ends with what it said."""
