"""Every permission that the chart gives is one that was decided, with a reason."""

import pytest

from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import RELEASE, Rendered, render
from tests.chart.permissions import GRANTS, granted


def test_permissions_are_exactly_those_with_a_reason() -> None:
    """rules.md C10: each component has only what it needs."""
    assert {grant.rule for grant in granted(render(DEFAULT), RELEASE)} == {
        grant.rule for grant in GRANTS
    }
    assert all(grant.why for grant in GRANTS)
    assert len({grant.rule for grant in GRANTS}) == len(GRANTS)


@pytest.mark.parametrize("name", CASES)
def test_no_role_reaches_further_than_it_must(name: str) -> None:
    """rules.md C10: nobody has all verbs or resources, or Secrets of the whole cluster."""
    rendered = render(CASES[name])
    for grant in granted(rendered, CASES[name].release):
        assert "*" not in (*grant.verbs, grant.resource.partition(".")[0])
        assert grant.resource != "secrets" or grant.is_namespaced
        assert not {"escalate", "bind", "impersonate"} & set(grant.verbs)
    for binding in (*rendered.of("ClusterRoleBinding"), *rendered.of("RoleBinding")):
        # A role of the chart's own, and not one that Kubernetes has, such as cluster-admin.
        roles = rendered.names(binding["roleRef"]["kind"])
        assert binding["roleRef"]["name"] in roles


def subjects(rendered: Rendered) -> set[str]:
    bindings = (*rendered.of("ClusterRoleBinding"), *rendered.of("RoleBinding"))
    return {subject["name"] for binding in bindings for subject in binding["subjects"]}


def test_node_may_ask_nothing_of_the_api_server() -> None:
    """rules.md C10: the node's account has no rules, and its pods no token."""
    rendered = render(DEFAULT)
    assert "csi-zfs-node" in rendered.names("ServiceAccount")
    assert "csi-zfs-node" not in subjects(rendered)
    pod = rendered.one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "csi-zfs-node"


def test_secrets_are_read_where_the_values_say_and_nowhere_else() -> None:
    """rules.md C10."""
    (grant,) = [
        grant
        for grant in granted(render(CASES["encrypted"]), RELEASE)
        if grant.resource == "secrets"
    ]
    assert (grant.verbs, grant.names) == (("get",), ("data-key",))
    role = render(CASES["encrypted"]).one("Role", "csi-zfs-secrets")
    assert role["metadata"]["namespace"] == "storage-keys"


def test_each_account_that_has_permissions_is_in_use() -> None:
    rendered = render(DEFAULT)
    used = {pod["serviceAccountName"] for _, pod in rendered.pods() if "serviceAccountName" in pod}
    assert used == rendered.names("ServiceAccount")
    assert subjects(rendered) < used
