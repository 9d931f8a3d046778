from pathlib import Path

from e2e.vm.ssh import Shell


def test_command_reaches_the_guest_with_its_own_key_and_no_ones_settings() -> None:
    command = Shell(4022, Path("/g")).command("echo", "two words")
    assert command[:3] == ["ssh", "-F", "none"]
    assert command[command.index("-i") + 1] == "/g/key"
    assert command[command.index("-p") + 1] == "4022"
    assert command[-2:] == ["root@127.0.0.1", "echo 'two words'"]


def test_command_without_words_is_a_login() -> None:
    command = Shell(4022, Path("/g")).command(terminal=True)
    assert "-t" in command
    assert command[-1] == "root@127.0.0.1"


def test_connection_is_shared_where_its_socket_has_room() -> None:
    assert "-S" in Shell(4022, Path("/g")).command("true")
    assert "-S" not in Shell(4022, Path("/" + "g" * 100)).command("true")
