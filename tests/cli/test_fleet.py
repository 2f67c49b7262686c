"""An inventory becomes credentials that stay, and configurations that an agent takes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from rkmp.cli.fleet.command import FleetRequest, init_fleet
from rkmp.cli.fleet.configuration import router_configuration
from rkmp.cli.fleet.credentials import open_credentials
from rkmp.cli.fleet.inventory import read_inventory
from rkmp.cli.session import Session
from rkmp.daemon.agent import module_directory
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import load_schema
from rkmp.errors import CommandError
from rkmp.northbound import MODULES
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

TRIANGLE = """
domain: example.net
credentials: {credentials}
routers:
  r1: {{address: 192.0.2.1}}
  r2: {{address: 192.0.2.2, netconf: "198.51.100.2:8300"}}
  r3: {{address: "2001:db8::3", ike-port: 4500, netconf: "[2001:db8::3]:831"}}
links:
  - [r2, r1]
  - {{routers: [r2, r3], protocols: [bgp, ldp]}}
"""


def inventory(directory: Path, text: str) -> Path:
    path = directory / "fleet.yml"
    path.write_text(text, encoding="utf-8")
    return path


def triangle(directory: Path, credentials: str = "psk") -> Path:
    return inventory(directory, TRIANGLE.format(credentials=credentials))


def nobody(*_: object) -> Session:
    raise AssertionError("nothing is to be pushed")


def make(directory: Path, source: Path, *, rotate: bool = False, now: datetime = NOW) -> Mapping[str, bytes]:
    request = FleetRequest(source, directory, rotate=rotate, push=False, confirm_within=60, wait=0)
    init_fleet(request, nobody, now, as_json=True)
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_what_an_inventory_says_is_read(tmp_path: Path) -> None:
    fleet = read_inventory(triangle(tmp_path))
    assert fleet.routers["r1"].identity == "r1.example.net"
    where = {name: (each.netconf_host, each.netconf_port, each.ike_port) for name, each in fleet.routers.items()}
    assert where == {
        "r1": ("192.0.2.1", 830, 500),
        "r2": ("198.51.100.2", 8300, 500),
        "r3": ("2001:db8::3", 831, 4500),
    }
    assert [(link.name, link.protocols) for link in fleet.links] == [("r1--r2", ("bgp",)), ("r2--r3", ("bgp", "ldp"))]
    assert [peer.name for peer, _ in fleet.peers_of("r2")] == ["r1", "r3"]


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_every_router_takes_what_is_made_for_it(tmp_path: Path, credentials: str) -> None:
    fleet = read_inventory(triangle(tmp_path, credentials))
    made = open_credentials(fleet, tmp_path / "out", rotate=False, now=NOW)
    schema = load_schema(MODULES, [module_directory()])
    for router in fleet.routers.values():
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
        datastores = Datastores(schema, Database(IN_MEMORY), sealer, os.urandom, lambda: NOW)
        datastores.edit("running", router_configuration(fleet, router, made), session_id=1)
        peers = datastores.tree("running").findall(".//{*}peer/{*}name")
        assert [peer.text for peer in peers] == [peer.name for peer, _ in fleet.peers_of(router.name)]


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_a_second_run_changes_nothing_and_rotation_every_secret(tmp_path: Path, credentials: str) -> None:
    source, out = triangle(tmp_path, credentials), tmp_path / "out"
    first = make(out, source)
    assert make(out, source) == first
    rotated = make(out, source, rotate=True)
    assert rotated.keys() == first.keys()
    same = {name for name in first if first[name] == rotated[name]}
    assert same == ({"authority.pem", "authority-key.pem"} if credentials == "certificate" else set())
    assert make(out, source) == rotated


def test_both_ends_of_a_link_have_its_secret_and_nobody_else(tmp_path: Path) -> None:
    files = make(tmp_path / "out", triangle(tmp_path))
    secrets = json.loads(files["pre-shared-keys.json"])
    assert set(secrets) == {"r1--r2", "r2--r3"}
    for link, secret in secrets.items():
        assert len(secret) == 43, "32 octets in base64url"
        holders = {name for name in ("r1", "r2", "r3") if secret.encode() in files[f"{name}.xml"]}
        assert holders == set(link.split("--"))


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, triangle(tmp_path, "certificate"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {0o600}


def test_certificates_name_their_routers_and_are_renewed_in_time(tmp_path: Path) -> None:
    source, out = triangle(tmp_path, "certificate"), tmp_path / "out"
    files = make(out, source)
    certificate = x509.load_pem_x509_certificate(files["r1.pem"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["r1.example.net"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files["authority.pem"]))
    assert make(out, source, now=NOW + timedelta(days=200)) == files
    later = make(out, source, now=NOW + timedelta(days=300))
    assert later["r1.pem"] != files["r1.pem"]
    assert later["authority.pem"] == files["authority.pem"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("credentials: psk", "credentials: none"), "neither psk nor certificate"),
        (("domain: example.net", "domain: a..b"), "no domain name"),
        (("domain: example.net", "domian: x"), "'domian' is not one of domain"),
        (("  r1: ", "  r_1: "), "routers: r_1: the name is no label"),
        (("address: 192.0.2.1", "address: r1.example.net"), "routers: r1: address 'r1.example.net' is no IP address"),
        (("address: 192.0.2.1", "adress: 192.0.2.1"), "'adress' is not one of address, netconf, ike-port"),
        (("ike-port: 4500", "ike-port: 70000"), "'70000' is no port number"),
        (("[r2, r1]", "[r2, r9]"), "links: number 1: r9 is none of the routers"),
        (("[r2, r1]", "[r2, r2]"), "a link has two routers"),
        (("[r2, r1]", "[r3, r2]"), "links: number 2: r2 and r3 have a link already"),
        (("[bgp, ldp]", "[ospf]"), "protocols are some of bgp"),
        (("links:", "links: {"), "this is no YAML"),
        (("links:", "links: 3\nuser:"), "user: is not text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    path = inventory(tmp_path, TRIANGLE.format(credentials="psk").replace(*change))
    with pytest.raises(CommandError) as raised:
        read_inventory(path)
    assert str(path) in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"r1--r2": 3}'])
def test_secrets_that_cannot_be_read_are_not_made_anew(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "out"
    make(out, triangle(tmp_path))
    (out / "pre-shared-keys.json").write_bytes(content)
    with pytest.raises(CommandError):
        make(out, triangle(tmp_path))
    assert (out / "pre-shared-keys.json").read_bytes() == content


def test_a_key_that_is_not_the_certificates_is_refused(tmp_path: Path) -> None:
    out, source = tmp_path / "out", triangle(tmp_path, "certificate")
    files = make(out, source)
    (out / "r1-key.pem").write_bytes(files["r2-key.pem"])
    with pytest.raises(CommandError, match="is not the key of"):
        make(out, source)
