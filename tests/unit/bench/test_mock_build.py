"""Where the mock is kept, and the module that it is built in."""

from pathlib import Path

from tests.bench.mock_build import cache_directory, wrapper

GO_MOD = """\
module k8s.io/kubernetes

go 1.25.0

require (
	google.golang.org/grpc v1.72.2
	k8s.io/api v0.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


def test_wrapper_takes_published_modules_for_those_of_staging() -> None:
    text = wrapper(GO_MOD)

    assert "\tk8s.io/api => k8s.io/api v0.35.4\n" in text
    assert "\tk8s.io/client-go => k8s.io/client-go v0.35.4\n" in text
    assert "staging" not in text


def test_wrapper_has_a_name_of_its_own_and_requires_kubernetes() -> None:
    lines = wrapper(GO_MOD).splitlines()

    assert lines[0] == "module wrapper"
    assert lines[-1] == "require k8s.io/kubernetes v1.35.4"
    assert "\tgoogle.golang.org/grpc v1.72.2" in lines


def test_cache_directory_is_outside_the_checkout() -> None:
    assert cache_directory({"HOME": "/home/me"}, "go1").is_relative_to("/home/me/.cache/csi-zfs")
    found = cache_directory({"HOME": "/home/me", "XDG_CACHE_HOME": "/cache"}, "go1")
    assert found.is_relative_to(Path("/cache/csi-zfs"))


def test_cache_directory_of_another_go_is_another_one() -> None:
    assert cache_directory({}, "go1") == cache_directory({}, "go1")
    assert cache_directory({}, "go1") != cache_directory({}, "go2")
