"""The dashboard of examples/monitoring over two real agents that a real Prometheus scrapes, and a picture of it.

``python -m tests.docs.dashboard`` draws docs/pictures/dashboard.svg anew: the panels of dashboard.json, each with what
its own queries return.
"""
