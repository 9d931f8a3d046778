"""Contract of channel programs: what the functions of `zfs` say, and how a program fails."""

import errno

import pytest

from csi_zfs.zfs.lzc import LzcError, ProgramValue
from tests.contract.zfs_core.world import FILESYSTEM, VOLMODE_NONE, World, errno_of, errnos_of

# The functions that the fake has too; the kernel has more.
FUNCTIONS = {
    "check": {"destroy", "rollback", "snapshot"},
    "list": {"children", "clones", "snapshots"},
    "sync": {"destroy", "promote", "set_prop", "snapshot"},
}
STANDARD = {
    *("assert", "collectgarbage", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal"),
    *("rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "type"),
    *("coroutine", "string", "table"),
}
ABSENT = {"pcall", "xpcall", "print", "load", "loadfile", "dofile", "require", "os", "io", "math"}


@pytest.fixture
def family(zfs: World) -> World:
    """A zvol with two snapshots, of which one has a clone."""
    zfs.make("z")
    for name in ("z@s", "z@t"):
        zfs.take(name)
    zfs.core.clone(zfs.full("c"), zfs.full("z@s"), {"volmode": VOLMODE_NONE})
    zfs.await_idle("c")
    return zfs


def test_program_has_these_functions_and_no_others_of_lua(zfs: World) -> None:
    for module, names in FUNCTIONS.items():
        found = zfs.ask(f"local r = {{}} for k in pairs(zfs.{module}) do r[k] = true end return r")
        assert isinstance(found, dict)
        assert names <= found.keys()
    asked: list[ProgramValue] = [*sorted(STANDARD | ABSENT | {"zfs"})]
    found = zfs.ask(
        "local r = {} for _, n in ipairs((...).argv.names) do r[n] = _ENV[n] ~= nil end return r",
        names=asked,
    )
    assert found == dict.fromkeys(STANDARD | {"zfs"}, True) | dict.fromkeys(ABSENT, False)


def test_values_of_every_type_go_in_and_come_out(zfs: World) -> None:
    values: dict[str, ProgramValue] = {
        "text": "ü",
        "number": -1,
        "large": (1 << 63) - 1,
        "small": -(1 << 63),
        "yes": True,
        "names": ["a", "b"],
        "numbers": [1, -2],
        "nothing": [],
        "empty": {},
        "inner": {"x": 1},
    }
    lists = {"names": {"1": "a", "2": "b"}, "numbers": {"1": 1, "2": -2}, "nothing": {}}
    assert zfs.ask("return (...).argv", **values) == {**values, **lists}
    assert zfs.ask("return {[true] = 1, [2] = {3}}") == {"true": 1, "2": {"1": 3}}
    assert zfs.ask("return nil") is None
    assert zfs.ask("local nothing") is None


@pytest.mark.parametrize("value", [[{"a": 1}], [True]])
def test_list_of_anything_but_texts_and_numbers_is_refused(zfs: World, value: ProgramValue) -> None:
    assert errno_of(lambda: zfs.ask("return 1", value=value)) == errno.EINVAL


def test_text_with_a_nul_is_refused(zfs: World) -> None:
    with pytest.raises(ValueError, match="NUL"):
        zfs.ask("return 1", value="a\0b")


@pytest.mark.parametrize(
    ("lua", "number", "words"),
    [
        ("this is no Lua", errno.EINVAL, "syntax error"),
        ("return 1 & 2", errno.EINVAL, "expected near '&'"),
        ("error('no way')", errno.ECHRNG, "no way"),
        ("return nothing.there", errno.ECHRNG, "nothing"),
        ("return 1, 2", errno.ECHRNG, "Multiple return values not supported"),
        ("return {f = zfs.exists}", errno.ECHRNG, "Invalid value type"),
        ("while true do end", errno.ETIME, "timed out"),
        ("local x = 'x' while true do x = x .. x end", errno.ENOSPC, ""),
        ("return zfs.exists('nopool/x')", errno.ECHRNG, "is not in the target pool"),
        ("return zfs.get_prop(p .. 'no', 'type')", errno.ECHRNG, "no such dataset"),
        ("return zfs.get_prop(p .. 'no', 'a:b')", errno.ECHRNG, "no such dataset"),
        ("zfs.list.children(p .. 'no')", errno.ECHRNG, "no such dataset"),
        ("zfs.list.snapshots(p .. 'no')", errno.ECHRNG, "no such dataset"),
        ("zfs.list.clones(p .. 'z@no')", errno.ECHRNG, "no such dataset"),
        ("zfs.list.snapshots(p .. 'z@s')", errno.ECHRNG, "cannot be a snapshot"),
        ("zfs.list.clones(p .. 'z')", errno.ECHRNG, "is not a snapshot"),
        ("zfs.sync.snapshot(p .. 'z@n')", errno.ECHRNG, "sync"),
        ("zfs.sync.set_prop(p .. 'z', 'a:b', 'c')", errno.ECHRNG, "sync"),
        ("zfs.sync.destroy(p .. 'c')", errno.ECHRNG, "sync"),
        ("zfs.check.destroy{p .. 'z', defer = true}", errno.ECHRNG, "only supported for snapshots"),
    ],
)
def test_program_that_only_reads_fails_with_words(
    family: World, lua: str, number: int, words: str
) -> None:
    with pytest.raises(LzcError) as caught:
        family.core.read_program(
            family.zpool_name, f'local p = "{family.parent}/"\n{lua}', instruction_limit=1_000_000
        )
    assert (caught.value.call, caught.value.errno) == ("read_program", number)
    assert words in caught.value.detail
    assert family.exists("z@s")


def test_program_in_another_pool_is_refused(zfs: World) -> None:
    found = errnos_of(
        {
            "run": lambda: zfs.core.run_program("nopool", "return 1"),
            "read": lambda: zfs.core.read_program("nopool", "return 1"),
        }
    )
    assert found == {"run": errno.ENOENT, "read": errno.ENOENT}


def test_program_that_fails_keeps_what_it_changed(family: World) -> None:
    lua = "zfs.sync.snapshot(p .. 'z@kept') error('no way')"
    assert errno_of(lambda: family.act(lua)) == errno.ECHRNG
    assert family.exists("z@kept")


def test_exists_finds_datasets_and_snapshots(family: World) -> None:
    lua = "local e = zfs.exists return {e(p..'z'), e(p..'z@s'), e(p..'no'), e(p..'z@no')}"
    assert family.ask(lua) == {"1": True, "2": True, "3": False, "4": False}


def test_lists_name_what_is_right_below(family: World) -> None:
    family.core.create(family.full("f"), *_FILE_SYSTEM)
    family.core.create(family.full("f/x"), *_FILE_SYSTEM)
    assert family.listed("children", "") == {"z", "c", "f"}
    assert family.listed("children", "z") == set()
    assert family.listed("snapshots", "z") == {"z@s", "z@t"}
    assert family.listed("clones", "z@s") == {"c"}
    assert family.listed("clones", "z@t") == set()


def test_checks_say_what_a_change_would(family: World) -> None:
    lua = """
    local s, d = zfs.check.snapshot, zfs.check.destroy
    return {
        s(p..'z@n'), s(p..'z@s'), s(p..'no@s'), s(p..'z'),
        d(p..'z'), d((p:gsub('/$', ''))), d(p..'no'), d(p..'z@s'), d(p..'z@no'),
        d{p..'z@s', defer = true},
    }"""
    number = errno
    first = [0, number.EEXIST, number.ENOENT, number.EINVAL]
    rest = [number.EBUSY, number.EEXIST, number.ENOENT, number.EEXIST, 0, 0]
    assert _values(family.act(lua)) == first + rest
    # Outside a transaction a snapshot is looked for less closely.
    assert _values(family.ask(lua)) == [0, 0, number.ENOENT, number.EINVAL, *rest]
    assert not family.exists("z@n")


def test_check_of_a_rollback_and_of_a_destroy_tell_who_is_in_use(family: World) -> None:
    """Only in a transaction, and each for its case: with a snapshot, and without one."""
    device = family.make_with_device("open")
    lua = "local r, d = zfs.check.rollback, zfs.check.destroy return {r(p..'open'), d(p..'open')}"
    assert _values(family.act(lua)) == [errno.ESRCH, 0]
    with family.machine.opened(device):
        assert _values(family.act(lua)) == [errno.ESRCH, errno.EBUSY]
        family.take("open@s")
        assert _values(family.act(lua)) == [errno.EBUSY, errno.EBUSY]
    family.machine.settle()
    assert _values(family.act(lua)) == [0, errno.EBUSY]
    assert family.act("return zfs.check.rollback(p..'no')") == errno.ENOENT


def test_program_knows_the_names_of_errnos(zfs: World) -> None:
    assert _values(zfs.ask("return {EBUSY, ENOENT, EEXIST}")) == [
        *(errno.EBUSY, errno.ENOENT, errno.EEXIST)
    ]


def test_sync_functions_return_an_errno(family: World) -> None:
    lua = """
    local s, d, set = zfs.sync.snapshot, zfs.sync.destroy, zfs.sync.set_prop
    return {
        s(p..'z@s'), s(p..'no@s'),
        d(p..'z'), d((p:gsub('/$', ''))), d(p..'no'), d(p..'z@s'), d(p..'z@no'),
        set(p..'no', 'a:b', 'c'), set(p..'z@no', 'a:b', 'c'),
        set(p..'z', 'compression', 'lz4'), set(p..'z', 'a:b', string.rep('x', 8192)),
    }"""
    assert _values(family.act(lua)) == [
        *(errno.EEXIST, errno.ENOENT),
        *(errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.EEXIST, 0),
        *(errno.ENOENT, errno.ENOENT, errno.EINVAL, errno.E2BIG),
    ]
    assert errno_of(lambda: family.act("zfs.sync.set_prop(p..'z', 'a:b', 5)")) == errno.ECHRNG


def test_sync_functions_change(family: World) -> None:
    lua = """
    return {
        zfs.sync.snapshot(p..'z@n'), zfs.sync.set_prop(p..'z@n', 'a:b', 'of n'),
        zfs.sync.set_prop(p..'z', 'a:b', string.rep('x', 8191)), zfs.sync.destroy(p..'c'),
        zfs.sync.destroy(p..'z@s'), zfs.sync.destroy{p..'z@t', defer = true},
    }"""
    assert _values(family.act(lua)) == [0] * 6
    assert family.listed("snapshots", "z") == {"z@n"}
    assert family.get("z@n", "a:b") == ["of n", "p/z@n"]
    assert family.get("z", "a:b") == ["x" * 8191, "p/z"]
    assert not family.exists("c")


def test_promote_in_a_program_and_destroy_of_who_lost_its_snapshots(family: World) -> None:
    """Both in one transaction."""
    assert family.act("return zfs.sync.destroy(p..'z@t')") == 0
    lua = "return {zfs.sync.promote(p..'c'), zfs.sync.destroy(p..'z'), zfs.sync.promote(p..'c')}"
    assert _values(family.act(lua)) == [0, 0, errno.EINVAL]
    assert family.listed("snapshots", "c") == {"c@s"}
    assert family.get("c", "origin") == []
    assert not family.exists("z")
    assert family.act("local number = zfs.sync.promote(p..'no') return number") == errno.ENOENT


def test_promote_in_a_program_over_a_snapshot_of_the_same_name_is_refused(family: World) -> None:
    family.take("c@s")
    assert family.act("local number = zfs.sync.promote(p..'c') return number") == errno.EEXIST


def test_createtxg_tells_which_snapshot_is_younger(family: World) -> None:
    family.core.rename(family.full("z@s"), family.full("z@zz"))
    (older,), (younger,) = family.get("z@zz", "createtxg"), family.get("z@t", "createtxg")
    assert int(str(older)) < int(str(younger))
    family.act("return zfs.sync.destroy(p..'z@t')")
    family.core.promote(family.full("c"))
    assert family.get("c@zz", "createtxg") == [older]


def test_written_is_what_no_snapshot_has(zfs: World) -> None:
    device = zfs.make_with_device("w")
    zfs.machine.settle()
    zfs.machine.write(device, bytes(range(256)) * 64)
    zfs.take("w@s")
    assert zfs.get("w", "written") == [0]
    zfs.machine.write(device, bytes(reversed(range(256))) * 64)
    # A synced write is in the intent log first.
    zfs.await_that(lambda: zfs.get("w", "written") != [0])


def test_deferred_destroy_in_a_program_waits_for_the_clone(family: World) -> None:
    lua = "return zfs.sync.destroy{p..'z@s', defer = true}"
    assert family.act(lua) == 0
    assert family.act(lua) == 0
    assert family.get("z@s", "defer_destroy") == ["on"]
    assert family.act("return zfs.sync.destroy(p..'c')") == 0
    assert not family.exists("z@s")


def test_held_snapshot_is_busy_in_a_program(family: World) -> None:
    family.core.hold(family.full("z@s"), "tag")
    assert family.act("return zfs.sync.destroy(p..'z@s')") == errno.EBUSY


def test_second_snapshot_of_a_dataset_in_one_transaction_is_refused(family: World) -> None:
    lua = """
    local s = zfs.sync.snapshot
    local first, second, same = s(p..'z@1'), s(p..'z@2'), s(p..'z@1')
    zfs.sync.destroy(p..'z@1')
    return {first, second, same, s(p..'z@2')}"""
    assert _values(family.act(lua)) == [0, errno.EAGAIN, errno.EAGAIN, 0]


_FILE_SYSTEM = (FILESYSTEM, {"volmode": VOLMODE_NONE})


def _values(table: ProgramValue) -> list[ProgramValue]:
    assert isinstance(table, dict)
    return [table[str(place)] for place in range(1, len(table) + 1)]
