"""A network, a charon and a router for each test, gone when it ends; a charon that cannot be started is no success."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest

from tests.interop.strongswan.charon import Charon
from tests.interop.strongswan.namespace import NetworkNamespace, Unavailable
from tests.interop.strongswan.router import Router
from tests.real_parts import lacking

MakeRouter = Callable[..., Router]
MakeCharon = Callable[..., Charon]

_CHARONS = pytest.StashKey[list[Charon]]()


@pytest.fixture(scope="session")
def strongswan() -> None:
    """Skip where charon cannot be started, or fail where CI means it to be."""
    try:
        with NetworkNamespace() as network, Charon(network) as charon:
            charon.start()
    except Unavailable as reason:
        lacking(str(reason))


@pytest.fixture
def network(strongswan: None) -> Iterator[NetworkNamespace]:
    """Return an empty network."""
    with NetworkNamespace() as network:
        yield network


@pytest.fixture
def make_charon(network: NetworkNamespace, request: pytest.FixtureRequest) -> Iterator[MakeCharon]:
    """Return a function that starts a charon; its arguments are those of :class:`Charon` but for the network."""
    started = request.node.stash.setdefault(_CHARONS, [])
    with ExitStack() as stack:

        def make(**arguments: object) -> Charon:
            charon = stack.enter_context(Charon(network, **arguments))  # type: ignore[arg-type]
            started.append(charon)
            charon.start()
            return charon

        yield make


@pytest.fixture
def charon(make_charon: MakeCharon) -> Charon:
    """Return a charon on ports 500 and 4500."""
    return make_charon()


@pytest.fixture
def make_router(network: NetworkNamespace) -> Iterator[MakeRouter]:
    """Return a function that makes a router; its arguments are those of :class:`Router`, and where to listen."""
    with ExitStack() as stack:

        def make(*, address: str = "127.0.0.1", port: int = 0, **arguments: object) -> Router:
            bound = stack.enter_context(network.udp_socket(address, port))
            return Router(bound, **arguments)  # type: ignore[arg-type]

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what charon logged into the report of a test that fails."""
    report = yield
    if report.failed:
        report.sections += [("charon's log", charon.log) for charon in item.stash.get(_CHARONS, [])]
    return report
