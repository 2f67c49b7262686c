"""``rkmp demo``: the main job on loopback, start to finish, every step checked against what the agents report."""

from rkmp.cli.demo.script import run

__all__ = ["run"]
