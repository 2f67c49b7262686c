"""get-schema gives the text of every module and submodule that the server names (RFC 6022 section 3.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES
from tests.netconf.agents import Agent, Fault, data_of, fault_of, get
from tests.netconf.conftest import MODULES

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def get_schema(identifier: str, *parameters: str) -> str:
    rest = "".join(parameters)
    return f'<get-schema xmlns="{MONITORING}"><identifier>{identifier}</identifier>{rest}</get-schema>'


@pytest.mark.parametrize(
    "parameters",
    [
        (),
        ("<version>2026-01-02</version>",),
        (f'<format xmlns:m="{MONITORING}">m:yang</format>',),
        ("<format>yang</format>",),
    ],
    ids=str,
)
async def test_the_text_of_a_module_comes_as_it_is(agent: Agent, parameters: tuple[str, ...]) -> None:
    peer = await agent.connect()
    reply = await peer.call(get_schema("example-network", *parameters))
    (data,) = reply
    assert data.tag == f"{{{MONITORING}}}data"
    assert data.text == (MODULES / "example-network.yang").read_text(encoding="utf-8")


async def test_every_schema_that_the_server_lists_can_be_had(agent: Agent) -> None:
    peer = await agent.connect()
    schemas = f'<netconf-state xmlns="{MONITORING}"><schemas/></netconf-state>'
    data = data_of(await peer.call(get(schemas)))
    listed = list(data.iter(f"{{{MONITORING}}}schema"))
    assert len(listed) > 5
    for entry in listed:
        identifier, version = (entry.findtext(f"{{{MONITORING}}}{name}") or "" for name in ("identifier", "version"))
        reply = await peer.call(get_schema(identifier, f"<version>{version}</version>"))
        assert f"module {identifier}" in (reply[0].text or "")


async def test_a_submodule_can_be_had(tmp_path: Path) -> None:
    (tmp_path / "big.yang").write_text(
        'module big { namespace "urn:big"; prefix b; include big-part; revision 2026-01-01; leaf a { type string; } }'
    )
    (tmp_path / "big-part.yang").write_text(
        "submodule big-part { belongs-to big { prefix b; } revision 2026-01-03; leaf c { type string; } }"
    )
    agent = Agent(load_schema({**NETCONF_MODULES, "big": ()}, [tmp_path]))
    peer = await agent.connect()
    reply = await peer.call(get_schema("big-part", "<version>2026-01-03</version>"))
    assert (reply[0].text or "").startswith("submodule big-part")
    await agent.close()


@pytest.mark.parametrize(
    ("operation", "element"),
    [
        (get_schema("no-such-module"), "identifier"),
        (get_schema("example-network", "<version>1999-01-01</version>"), "version"),
        (get_schema("example-network", f'<format xmlns:m="{MONITORING}">m:yin</format>'), "format"),
    ],
)
async def test_a_schema_that_there_is_not_is_an_invalid_value(agent: Agent, operation: str, element: str) -> None:
    peer = await agent.connect()
    fault = Fault("application", "invalid-value", info=(("bad-element", element),))
    assert fault_of(await peer.call(operation)) == fault


async def test_parameters_are_checked(agent: Agent, schema: Schema) -> None:
    peer = await agent.connect()
    path = "/ncm:get-schema"
    assert schema.prefix_of(MONITORING) == "ncm"
    assert fault_of(await peer.call(f'<get-schema xmlns="{MONITORING}"/>')) == Fault(
        "application", "missing-element", None, path, (("bad-element", "identifier"),)
    )
    reply = await peer.call(get_schema("example-network", "<format>bogus</format>"))
    assert fault_of(reply) == Fault("application", "invalid-value", None, f"{path}/ncm:format")
