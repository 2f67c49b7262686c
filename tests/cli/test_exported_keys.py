"""An exported entry is configuration, whole, and holds nothing that could not be configured."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rkmp.cli.exported_keys import CONFIGURED
from rkmp.cli.private_file import write_private
from rkmp.cli.views import KEY_TABLE
from rkmp.daemon.agent import module_directory
from rkmp.datastore.schema import load_schema
from rkmp.errors import CommandError
from rkmp.northbound import MODULES


def test_the_table_is_what_the_module_lets_configure_in_its_order() -> None:
    schema = load_schema(MODULES, [module_directory()])
    entry = schema.node_at((f"{{{KEY_TABLE}}}key-table", f"{{{KEY_TABLE}}}key"))
    assert entry is not None
    configured = [node.name for node in entry.data_children.values() if node.config and node.name != "keystring"]
    assert list(CONFIGURED) == configured


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_private(file, b"octets")
    assert file.read_bytes() == b"octets"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="No such file"):
        write_private(tmp_path / "nowhere" / "keys", b"octets")
    with pytest.raises(CommandError, match="directory"):
        write_private(tmp_path, b"octets")
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    link = tmp_path / "keys"
    link.symlink_to(elsewhere)
    write_private(link, b"octets")
    assert elsewhere.read_text() == "untouched"
    assert not link.is_symlink()
