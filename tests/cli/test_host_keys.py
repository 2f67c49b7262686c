"""The host key that a server shows, also where it hangs up rather than saying that it has none of a kind."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import asyncssh
import pytest

from rkmp.cli.host_keys import present_host_key
from rkmp.errors import CommandError

SHOWN, OTHER = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
ELLIPTIC = asyncssh.generate_private_key("ecdsa-sha2-nistp256")

Serve = Callable[[int], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what makes a server with the key SHOWN, which hangs up on its first callers, and tells its port."""
    with ExitStack() as stack:

        def start(hangs_up: int) -> int:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            loop = asyncio.new_event_loop()
            is_over = asyncio.Event()

            async def accept() -> None:
                for _ in range(hangs_up):
                    caller, _ = await loop.sock_accept(listening)
                    caller.close()
                async with await asyncssh.listen(sock=listening, server_host_keys=[SHOWN], config=None):
                    await is_over.wait()

            listening.setblocking(False)
            thread = threading.Thread(target=loop.run_until_complete, args=(accept(),))
            thread.start()
            stack.callback(loop.close)
            stack.callback(thread.join, 10)
            stack.callback(loop.call_soon_threadsafe, is_over.set)
            return int(listening.getsockname()[1])

        yield start


@pytest.mark.parametrize("hangs_up", [0, 1])
@pytest.mark.parametrize(("known", "is_shown"), [(SHOWN, True), (OTHER, True), (ELLIPTIC, False)])
def test_a_key_is_shown_if_it_is_of_a_kind_that_is_known(
    serve: Serve, hangs_up: int, known: asyncssh.SSHKey, is_shown: bool
) -> None:
    presented = present_host_key("127.0.0.1", serve(hangs_up), 10, [known.convert_to_public()])
    assert presented == (SHOWN.convert_to_public() if is_shown else None)


def test_who_only_hangs_up_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            for _ in range(2):
                listening.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(CommandError, match="hangs up") as refused:
            present_host_key("127.0.0.1", listening.getsockname()[1], 10, [SHOWN.convert_to_public()])
        thread.join(10)
    assert refused.value.exit_status == 3
