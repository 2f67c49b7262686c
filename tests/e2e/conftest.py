"""Agents for a test, all gone when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.agents import AgentProcess, make_user_key, peer_configuration

MakeAgent = Callable[[str], AgentProcess]


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[MakeAgent]:
    """Return a function that makes and starts an agent by name."""
    key = make_user_key(tmp_path)
    agents: list[AgentProcess] = []

    def make(name: str) -> AgentProcess:
        agent = AgentProcess(name, tmp_path / name, key)
        agents.append(agent)
        agent.initialise()
        agent.start()
        return agent

    yield make
    for agent in agents:
        agent.kill()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """Return one agent for all tests of a file."""
    directory = tmp_path_factory.mktemp("agent")
    agent = AgentProcess("r1", directory / "r1", make_user_key(directory))
    try:
        agent.initialise()
        agent.start()
        yield agent
    finally:
        agent.kill()


@pytest.fixture
def one_peer(agent: AgentProcess) -> None:
    """Have the agent of the file configured with one peer that nobody calls, and nothing else."""
    with agent.connect() as session:
        config = peer_configuration("r1", "r2", port=9, initiate="never")
        session.edit_config(target="running", config=config, default_operation="replace")


@pytest.fixture
def pair(make_agent: MakeAgent) -> tuple[AgentProcess, AgentProcess]:
    """Return two running agents without configuration."""
    return make_agent("r1"), make_agent("r2")
