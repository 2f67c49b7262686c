"""The HTTP of the metrics. Whoever reaches the port can ask, so no client can take much of the agent: each has little
time, and of more than a few at once the others are turned away. Each is answered in a thread of its own.
"""

from __future__ import annotations

import io
import logging
import socket
import socketserver
import sys
import threading
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

_log = logging.getLogger(__name__)

CLIENTS = 8
"""Answered at once; a service manager may let the agent have few threads, which it needs for other things."""
CLIENT_SECONDS = 10.0
"""How long a client may keep us waiting."""


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - its name there
        """Log nothing: what clients ask is no event."""

    def get_stderr(self) -> TextIO:
        """Return what takes the traceback of a client that went away half-way."""
        return io.StringIO()


class MetricsServer(socketserver.ThreadingMixIn, WSGIServer):
    """Listens on ``address``, an IP address, and ``port`` (0: a free one); raises OSError or OverflowError.

    It serves in :meth:`serve_forever`, which :meth:`shutdown` ends from another thread.
    """

    daemon_threads = True

    def __init__(self, address: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._free = threading.BoundedSemaphore(CLIENTS)
        super().__init__((address, port), _Handler)
        self.set_app(make_wsgi_app(registry))

    def server_bind(self) -> None:
        """Bind, and ask nobody for a name of the address: DNS may take long, and nothing uses the answer."""
        socketserver.TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def verify_request(self, _request: Any, _client: Any) -> bool:
        """Whether the client is answered; one that is has to be given up by :meth:`process_request_thread`."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and let another one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, _request: Any, _client: Any) -> None:
        """Log what a client met; its going away is nothing to tell of."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            # Never the exception's own words, which may repeat what it saw.
            _log.error("a client of the metrics was not answered: %s", type(error).__qualname__)
