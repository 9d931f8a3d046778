"""How much one reads at once of what somebody else may have put there."""

from csi_zfs.cas.api import StoreCorruptError

# Several times what the store ever writes as one object.
LARGEST_BYTES = 512 << 20


def require_readable(key: str, size_bytes: int) -> None:
    """Raise `StoreCorruptError` where an object is too large to be one of the store's."""
    if size_bytes > LARGEST_BYTES:
        raise StoreCorruptError(
            f"object {key} has {size_bytes} bytes: the store writes none so large"
        )
