"""Agents for a test, all gone when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.agents import AgentProcess, make_user_key

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


@pytest.fixture
def pair(make_agent: MakeAgent) -> tuple[AgentProcess, AgentProcess]:
    """Return two running agents without configuration."""
    return make_agent("r1"), make_agent("r2")
