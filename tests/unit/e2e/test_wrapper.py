from e2e.cluster.versions import KUBERNETES, SNAPSHOT_CLIENT, SNAPSHOTTER, Module
from e2e.cluster.wrapper import wrapper

_OTHER = Module("example.org/other/v2", "v2.3.4")


def test_wrapper_requires_the_module_and_has_another_name() -> None:
    text = wrapper("module example.org/other/v2\n\ngo 1.25\n\nrequire a v1.0.0\n", _OTHER)
    assert text.splitlines() == [
        *("module wrapper", "", "go 1.25", "", "require a v1.0.0", ""),
        "require example.org/other/v2 v2.3.4",
    ]


def test_wrapper_takes_what_is_published_of_staging() -> None:
    go_mod = "module k8s.io/kubernetes\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n"
    published = KUBERNETES.version.replace("v1.", "v0.")
    assert f"\tk8s.io/api => k8s.io/api {published}\n" in wrapper(go_mod, KUBERNETES)


def test_wrapper_takes_the_published_client_of_the_snapshotter() -> None:
    client = SNAPSHOT_CLIENT.path
    text = wrapper(f"module m\nreplace {client} => ./client\n", SNAPSHOTTER)
    assert f"replace {client} => {client} {SNAPSHOTTER.version}\n" in text


def test_wrapper_drops_what_lies_beside_the_module_and_keeps_other_replacements() -> None:
    go_mod = "module m\nreplace (\n\ta => ../a\n\tb => b v1.0.1\n\tc => ./c\n)\n"
    assert "replace (\n\tb => b v1.0.1\n)\n" in wrapper(go_mod, _OTHER)
