"""The documents that are made from the code are current, and complete."""

from pathlib import Path

import pytest

from csi_zfs.domain.errors import FAMILIES, CsiZfsError, UnsupportedParameterError
from docs.generate import documents, family_of, leaves_of, table
from docs.rules import NOT_YET, RULES, mentions_by_rule

DOCUMENTS = documents()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_document_is_what_the_code_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == DOCUMENTS[path], "run `make docs`"


def test_every_error_has_exactly_one_family() -> None:
    """A leaf without one would become INTERNAL, which the provisioner takes as final."""
    for leaf in leaves_of(CsiZfsError) - {UnsupportedParameterError}:
        families = [family for family in FAMILIES if issubclass(leaf, family)]
        is_both = issubclass(leaf, UnsupportedParameterError)
        assert len(families) == (2 if is_both else 1), leaf
        assert family_of(leaf) in (*FAMILIES, UnsupportedParameterError)


def test_every_rule_has_a_test_that_names_it() -> None:
    assert mentions_by_rule().keys() == RULES.keys()
    assert not NOT_YET.keys() & RULES.keys()


def test_table_escapes_what_would_end_a_cell() -> None:
    assert table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"
