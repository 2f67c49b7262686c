"""rkmp: keys for TCP-AO that nobody has to type.

The package is a stack of layers, each importing only from those below it; docs/architecture.md draws it and
tests/test_architecture.py holds the code to it.
"""

__version__ = "0.1.0"
