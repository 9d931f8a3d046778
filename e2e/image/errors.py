"""What ends a build; the text is for the developer who asked for it."""

from e2e.vm.errors import VmError


class ImageError(VmError):
    """The image cannot be built here, or is none."""
