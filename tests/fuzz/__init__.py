"""Octets from nowhere, against everything that reads what the network brings: ``python -m tests.fuzz SECONDS``.

A run is guided by coverage (atheris, which is libFuzzer), and begins with messages of real exchanges. What breaks a
promise is kept in a file, and ``python -m tests.fuzz --replay TARGET FILE`` shows it again.
"""
