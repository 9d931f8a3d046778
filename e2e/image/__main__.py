"""`python -m e2e.image`: builds the image of the driver and says where it is."""

import os
import sys
from pathlib import Path

from e2e.image import recipe
from e2e.image.build import ensure_image, image_cache
from e2e.vm.errors import VmError
from tests.support.signals import interrupt_once

_CHECKOUT = Path(__file__).parents[2]
_MB = 1_000_000
_INTERRUPTED_STATUS = 130


def main() -> int:
    """Build the image unless it is there; returns the exit status."""
    interrupt_once()
    try:
        epoch_s = recipe.epoch(os.environ)
        image = ensure_image(_CHECKOUT, image_cache(os.environ), epoch_s=epoch_s)
    except VmError as exc:
        print(f"image: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("image: interrupted", file=sys.stderr)
        return _INTERRUPTED_STATUS
    archive = image.archive
    compressed = archive.path.stat().st_size
    print(f"archive  {archive.path}")
    print(f"sbom     {image.sbom}")
    print(f"name     {archive.name}")
    print(f"digest   {archive.digest}")
    print(f"size     {archive.size_bytes() / _MB:.0f} MB, {compressed / _MB:.0f} MB compressed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
