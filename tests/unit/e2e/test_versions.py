import dataclasses
from pathlib import Path

import pytest

from e2e.cluster.chart import load_values, sidecar_images
from e2e.cluster.errors import CannotBuildError
from e2e.cluster.programs import key_of
from e2e.cluster.versions import (
    CONFORMANCE,
    KUBERNETES,
    PROGRAMS,
    SIDECARS,
    SNAPSHOT_CLIENT,
    SNAPSHOTTER,
    Module,
    Program,
)
from tests.bench import mock_build

CHECKOUT = Path(__file__).parents[3]
_GO = "go1.26 linux amd64"


def test_every_program_has_a_name_of_its_own() -> None:
    names = [program.name for program in (*PROGRAMS, *CONFORMANCE)]
    assert len(set(names)) == len(names)


def test_kubernetes_tells_its_version() -> None:
    kubelet = next(program for program in PROGRAMS if program.name == "kubelet")
    assert f"k8s.io/component-base/version.gitVersion={KUBERNETES.version}" in kubelet.variables
    assert "k8s.io/client-go/pkg/version.gitMajor=1" in kubelet.variables


def test_definitions_are_those_of_the_snapshotter() -> None:
    assert SNAPSHOT_CLIENT.version == SNAPSHOTTER.version


def test_mock_driver_is_that_of_the_same_kubernetes() -> None:
    assert KUBERNETES.version == mock_build.VERSION


def test_sidecars_are_those_of_the_chart() -> None:
    """Else the tests on the cluster would be about other sidecars than users get."""
    found = sidecar_images(load_values(CHECKOUT), SIDECARS)
    assert set(found.values()) == set(SIDECARS)
    assert all(name.endswith(f":{program.module.version}") for name, program in found.items())


def test_other_version_in_the_chart_is_told() -> None:
    other = dataclasses.replace(SIDECARS[0], module=Module("example.org/m", "v0.0.1"))
    with pytest.raises(CannotBuildError, match=r"v0\.0\.1"):
        sidecar_images(load_values(CHECKOUT), (other,))


def test_new_version_of_one_module_builds_its_programs_and_no_others() -> None:
    module = Module("example.org/m", "v1.0.0")
    program = Program("m", module, "example.org/m/cmd/m")
    newer = dataclasses.replace(program, module=dataclasses.replace(module, version="v1.0.1"))
    assert key_of(program, _GO) != key_of(newer, _GO)
    assert key_of(program, _GO) == key_of(dataclasses.replace(program), _GO)


def test_other_go_and_other_variables_build_again() -> None:
    program = Program("m", Module("example.org/m", "v1.0.0"), "example.org/m/cmd/m")
    other = dataclasses.replace(program, variables=("main.version=v1.0.0",))
    keys = {key_of(program, _GO), key_of(program, "go1.27"), key_of(other, _GO)}
    assert len(keys) == 3
