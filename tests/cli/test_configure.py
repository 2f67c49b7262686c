"""What ``rkmp apply`` knows of secrets is what the modules say."""

from __future__ import annotations

import os

from rkmp.cli.configure import SECRETS
from rkmp.daemon.agent import module_directory
from rkmp.datastore.schema import load_schema
from rkmp.northbound import MODULES, protect_passwords


def test_every_leaf_that_is_not_shown_is_in_the_set() -> None:
    schema = protect_passwords(load_schema(MODULES, [module_directory()]), os.urandom)
    tops = [node for node in schema.top.values() if node.module in MODULES]
    hidden = [node for top in tops for node in top.descendants() if node.default_deny_all]
    leaves = {leaf.name for node in hidden for leaf in (node, *node.descendants()) if leaf.type is not None}
    assert leaves == SECRETS
