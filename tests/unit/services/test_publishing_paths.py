"""Paths on the node: whose they are, and where they may lie."""
def test_path_of_another_volume_is_refused_and_left_alone(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    """rules.md A6: for every call that takes a path."""
    staging, target = staging_path(node.kubelet_dir, volume_id), publish(node, volume_id)
    calls: list[Callable[[], None]] = [
        lambda: node.publishing.stage(
            replace(stage_spec(node.kubelet_dir, other_id), staging_target_path=staging)
        ),
        lambda: node.publishing.publish(
            replace(publish_spec(node.kubelet_dir, other_id), target_path=target)
        ),
        lambda: node.publishing.publish(
            replace(publish_spec(node.kubelet_dir, other_id), staging_target_path=staging)
        ),
        lambda: node.publishing.unpublish(other_id, target),
        lambda: node.publishing.unstage(other_id, staging),
    ]
    for call in calls:
        with pytest.raises(PathOfOtherVolumeError, match=str(volume_id)):
            call()
    assert is_shown(node, volume_id, staging)
    assert is_shown(node, volume_id, target)


def test_path_outside_the_kubelets_directory_is_refused(
    node: FakeNode, volume_id: VolumeId, tmp_path: Path
) -> None:
    """rules.md C1."""
    for path in (tmp_path / "elsewhere", node.kubelet_dir / ".." / "elsewhere"):
        spec = replace(stage_spec(node.kubelet_dir, volume_id), staging_target_path=path)
        with pytest.raises(TargetPathError):
            node.publishing.stage(spec)
    assert not (tmp_path / "elsewhere").exists()


def test_path_through_a_symbolic_link_is_refused_and_the_volume_is_free_for_a_good_one(
    node: FakeNode, volume_id: VolumeId, tmp_path: Path
) -> None:
    """rules.md C1."""
    (tmp_path / "elsewhere").mkdir()
    (node.kubelet_dir / "link").symlink_to(tmp_path / "elsewhere")
    spec = stage_spec(node.kubelet_dir, volume_id)
    with pytest.raises(TargetPathError, match="symbolic link"):
        node.publishing.stage(
            replace(spec, staging_target_path=node.kubelet_dir / "link" / "staging")
        )
    assert list((tmp_path / "elsewhere").iterdir()) == []
    node.restart()
    node.publishing.stage(spec)


def test_path_where_something_else_is_mounted_is_refused(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    """rules.md A6: something that the driver does not remember."""
    target = publish(node, other_id)
    node.state_store.documents.clear()
    node.restart()
    with pytest.raises(TargetBusyError):
        node.publishing.publish(
            replace(publish_spec(node.kubelet_dir, volume_id), target_path=target)
        )


