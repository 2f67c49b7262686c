"""The database of each release, as SQL, with one user and one peer in it; ``python -m tests.e2e.stores`` records one.

``first.sql`` is older than the first release. That of a release is recorded with its own code, when its heading goes
into CHANGELOG.md, and never changed afterwards: it is what routers have on their disks.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ncclient.manager import Manager

from ncclient import manager
from tests.e2e.agents import KEY_TABLE, NETCONF, RKMP, USER, AgentProcess

FOLDER = Path(__file__).parent
KEY = "7771a8c4dd74fabc82694b158f112395d44ba486770156e6dab2d4673d4e800b"
"""The key-encryption key of every store."""
PASSWORD = "first password"

_CONFIGURATION = f"""
<config xmlns="{NETCONF}">
  <ckt:key-table xmlns:ckt="{KEY_TABLE}"><ckt:key>
    <ckt:admin-key-name>manual</ckt:admin-key-name><ckt:local-key-name>0a</ckt:local-key-name>
    <ckt:peer-key-name>0b</ckt:peer-key-name><ckt:peer>192.0.2.3</ckt:peer><ckt:protocol>ckt:bgp</ckt:protocol>
    <ckt:kdf>ckt:hmac-sha-1</ckt:kdf><ckt:alg-id>ckt:hmac-sha-1-96</ckt:alg-id>
    <ckt:keystring>a key by hand</ckt:keystring>
    <ckt:send-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:send-lifetime>
    <ckt:accept-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:accept-lifetime></ckt:key></ckt:key-table>
  <rkmp xmlns="{RKMP}">
    <local-identity><type>fqdn</type><value>r1.example.net</value></local-identity>
    <credentials><pre-shared-key><name>k</name><secret><keystring>recorded</keystring></secret></pre-shared-key></credentials>
    <ike-policy><name>p</name></ike-policy>
    <proposal><name>ao</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>t1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
      <transform><name>t2</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform></proposal>
    <peer><name>r2</name><address>192.0.2.2</address><initiate>never</initiate><ike-policy>p</ike-policy>
      <authentication><local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><identity><type>fqdn</type><value>r2.example.net</value></identity>
          <method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>
      <association><protocol>bgp</protocol><proposal>ao</proposal></association></peer>
  </rkmp>
</config>"""


def connect(agent: AgentProcess) -> Manager:
    """Return a session of the user that every store has."""
    session: Manager = manager.connect(  # type: ignore[no-untyped-call]
        host="127.0.0.1",
        port=agent.netconf_port,
        username=USER,
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=30,
    )
    return session


def record(directory: Path) -> str:
    """Return the database that an agent of this release makes in ``directory``, as SQL."""
    agent = AgentProcess("recorded", directory, directory.with_name("no-key"))
    agent.initialise(password=PASSWORD)
    # Nothing has been sealed yet.
    (directory / "key-encryption-key").write_text(KEY, encoding="ascii")
    agent.start()
    try:
        with connect(agent) as session:
            session.edit_config(target="running", config=_CONFIGURATION)
            session.copy_config("running", "startup")
    finally:
        status = agent.stop()
    assert status == 0
    with contextlib.closing(sqlite3.connect(directory / "rkmp.db")) as database:
        settings = [
            f"PRAGMA {name} = {database.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*settings, *database.iterdump(), ""])
