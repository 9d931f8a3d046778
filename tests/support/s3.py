"""Which S3 server tests may use, as `make e2e-s3` or a developer names it in the environment."""

from collections.abc import Mapping

from csi_zfs.cas.objects.s3_place import S3Place

ENDPOINT = "CSI_ZFS_TEST_S3_ENDPOINT"
BUCKET = "CSI_ZFS_TEST_S3_BUCKET"
ACCESS_KEY = "CSI_ZFS_TEST_S3_ACCESS_KEY_ID"
SECRET_KEY = "CSI_ZFS_TEST_S3_SECRET_ACCESS_KEY"


def place_in(environ: Mapping[str, str], prefix: str = "") -> S3Place | None:
    """The bucket that is named, which tests fill below `prefix`; None where there is none."""
    if not environ.get(ENDPOINT):
        return None
    return S3Place(
        endpoint=environ[ENDPOINT],
        bucket=environ[BUCKET],
        access_key_id=environ[ACCESS_KEY],
        secret_access_key=environ[SECRET_KEY],
        prefix=prefix,
    )


def variables_of(place: S3Place) -> dict[str, str]:
    """What `place_in` reads."""
    return {
        ENDPOINT: place.endpoint,
        BUCKET: place.bucket,
        ACCESS_KEY: place.access_key_id,
        SECRET_KEY: place.secret_access_key,
    }
