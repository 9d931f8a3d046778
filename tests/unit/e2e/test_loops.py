from e2e.cluster.loops import Loop, loops_of, parse_loops

_LISTED = """
{"loopdevices": [
   {"name":"/dev/loop0", "maj:min":"  7:0  ", "back-maj:min":"254:0", "back-ino":12},
   {"name":"/dev/loop1", "maj:min":"  7:1  ", "back-maj:min":"  7:0", "back-ino":"131"},
   {"name":"/dev/loop2", "maj:min":"  7:2  ", "back-maj:min":null, "back-ino":null}
]}
"""
POOL = Loop("/dev/loop0", "7:0", "254:0", 12)
VOLUME = Loop("/dev/loop1", "7:1", "7:0", 131)
INNERMOST = Loop("/dev/loop3", "7:3", "7:1", 131)
OTHER_POOL = Loop("/dev/loop4", "7:4", "254:0", 13)
OTHER_VOLUME = Loop("/dev/loop5", "7:5", "7:4", 131)


def test_loops_are_parsed_without_those_that_have_no_file() -> None:
    assert parse_loops(_LISTED) == [POOL, VOLUME]


def test_no_loops_are_parsed_from_nothing() -> None:
    assert parse_loops("") == []
    assert parse_loops('{"loopdevices": [\n\n   ]}') == []


def test_loops_on_a_file_are_found_innermost_first_and_no_others() -> None:
    """Both nodes' files have the same paths, and volumes on two pools the same inodes."""
    loops = [VOLUME, OTHER_VOLUME, INNERMOST, POOL, OTHER_POOL]
    assert loops_of([("254:0", 12)], loops) == [INNERMOST, VOLUME, POOL]


def test_loop_whose_inode_is_on_another_file_system_is_not_found() -> None:
    assert loops_of([("8:1", 12)], [POOL, VOLUME]) == []
