"""Where modules are: the folders of the standard ones, found without loading pyang."""

from __future__ import annotations

import sysconfig
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from rkmp.errors import SchemaError


def standard_modules() -> tuple[Path, ...]:
    """The folders of standard modules that come with the pyang package, in any kind of environment.

    Raises SchemaError when there are none, which is a broken installation of pyang.
    """
    try:
        listed = files("pyang") or []
    except PackageNotFoundError:
        listed = []
    folders = {Path(str(file.locate())).resolve().parent for file in listed if file.suffix == ".yang"}
    if not folders:
        # Distribution packages of operating systems may leave the list of installed files out.
        shared = Path(sysconfig.get_path("data")) / "share" / "yang" / "modules"
        folders = {file.parent for file in shared.rglob("*.yang")}
    if not folders:
        raise SchemaError([("pyang", 0, "the installed pyang package has no YANG modules")])
    return tuple(sorted(folders))
