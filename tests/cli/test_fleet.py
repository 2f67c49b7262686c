"""An inventory becomes credentials that stay, and configurations that an agent takes."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from rkmp.cli.fleet.command import FleetRequest, init_fleet
from rkmp.cli.fleet.configuration import router_configuration, with_removals
from rkmp.cli.fleet.credentials import open_credentials
from rkmp.cli.fleet.inventory import read_inventory
from rkmp.cli.session import Session
from rkmp.daemon.agent import module_directory
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema, load_schema
from rkmp.errors import CommandError
from rkmp.northbound import MODULES
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.e2e.agents import peer_configuration

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
  - {{routers: [r3, r2], protocols: [bgp, ldp], addresses: ["2001:db8:1::3", "2001:db8:1::2"]}}
"""


def inventory(directory: Path, text: str) -> Path:
    path = directory / "fleet.yml"
    path.write_text(text, encoding="utf-8")
    return path


def triangle(directory: Path, credentials: str = "psk") -> Path:
    return inventory(directory, TRIANGLE.format(credentials=credentials))


def nobody(*_: object) -> Session:
    raise AssertionError("nothing is to be pushed")


def make(
    directory: Path,
    source: Path,
    *,
    rotate: bool = False,
    dry_run: bool = False,
    now: datetime = NOW,
    passphrase_file: Path | None = None,
) -> Mapping[str, bytes]:
    request = FleetRequest(
        source,
        directory,
        rotate=rotate,
        push=False,
        dry_run=dry_run,
        confirm_within=60,
        wait=0,
        passphrase_file=passphrase_file,
    )
    init_fleet(request, nobody, now, as_json=True)
    return {file.name: file.read_bytes() for file in directory.iterdir()} if directory.exists() else {}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(MODULES, [module_directory()])


def new_datastores(schema: Schema) -> Datastores:
    sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
    return Datastores(schema, Database(IN_MEMORY), sealer, os.urandom, lambda: NOW)


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
    assert [(each.router.name, each.address) for each in fleet.neighbors_of("r2")] == [
        ("r1", "192.0.2.1"),
        ("r3", "2001:db8:1::3"),
    ]


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_every_router_takes_what_is_made_for_it(tmp_path: Path, schema: Schema, credentials: str) -> None:
    fleet = read_inventory(triangle(tmp_path, credentials))
    made = open_credentials(fleet, tmp_path / "out", rotate=False, now=NOW)
    for router in fleet.routers.values():
        datastores = new_datastores(schema)
        datastores.edit("running", router_configuration(fleet, router, made), session_id=1)
        peers = datastores.tree("running").findall(".//{*}peer/{*}name")
        assert [peer.text for peer in peers] == [each.router.name for each in fleet.neighbors_of(router.name)]


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
        (("[r2, r1]", "[r2, r3]"), "2001:db8::3 are not of one version of IP"),
        (("[r2, r1]", "{{routers: [r3, r2], addresses: ['::3', '::2']}}"), "number 2: r2 and r3 have a link already"),
        (('"2001:db8:1::3", "2001:db8:1::2"', "192.0.2.9, 192.0.2.1"), "r2 and r1 have the same address and ike-port"),
        (('"2001:db8:1::3", "2001:db8:1::2"', "192.0.2.7"), "addresses are two, in the order of the routers"),
        (("address: 192.0.2.1}}", "address: 192.0.2.2}}"), "routers: r2: r1 has the same address and ike-port"),
        (("address: 192.0.2.1}}", "address: 0.0.0.0}}"), "'0.0.0.0' is not that of one router alone"),
        (("address: 192.0.2.1}}", "address: 224.0.0.5}}"), "'224.0.0.5' is not that of one router alone"),
        (("address: 192.0.2.1}}", "address: fe80::1%eth0}}"), "'fe80::1%eth0' is not that of one router alone"),
        (("address: 192.0.2.1}}", "address: 3221225985}}"), "address 3221225985 is no IP address"),
        (("address: 192.0.2.1}}", "address: 192.0.2.1, key: 3}}"), "routers: r1: key: is not text"),
        (("address: 192.0.2.1}}", 'address: 192.0.2.1, netconf: "[::1"}}'), "'[::1' is no address and port"),
        (("address: 192.0.2.1}}", 'address: 192.0.2.1, netconf: ":830"}}'), "':830' is no address and port"),
        (
            ("address: 192.0.2.1}}", 'address: 192.0.2.1, netconf: "198.51.100.2:8300"}}'),
            "r1 has the same NETCONF address",
        ),
        (("  r2: ", "  r1: "), "line 6: 'r1' is there twice"),
        (("links:", "  R1: {{address: 192.0.2.4}}\nlinks:"), "routers: R1: r1 has the same name"),
        (("  r1: ", "  no: "), "routers: False: the name is no label"),
        (("  r1: ", "  Authority: "), "routers: Authority: files of the fleet's authority are called that"),
        (("domain: example.net", "domain: " + ".".join(["a" * 63] * 4)), "routers: r1: is too long"),
        (("[bgp, ldp]", "[ospf]"), "protocols are some of bgp"),
        (("links:", "links: {"), "this is no YAML"),
        (("links:", "links: 3\nuser:"), "user: is not text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    old, new = (text.replace("{{", "{").replace("}}", "}") for text in change)
    text = TRIANGLE.format(credentials="psk")
    assert old in text
    path = inventory(tmp_path, text.replace(old, new))
    with pytest.raises(CommandError) as raised:
        read_inventory(path)
    assert str(path) in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("kind", ["json", "toml"])
def test_json_and_toml_say_the_same_as_yaml(tmp_path: Path, kind: str) -> None:
    document = yaml.safe_load(triangle(tmp_path).read_text())
    path = tmp_path / f"fleet.{kind}"
    path.write_text(json.dumps(document) if kind == "json" else as_toml(document), encoding="utf-8")
    assert read_inventory(path) == read_inventory(tmp_path / "fleet.yml")


def as_toml(document: Mapping[str, Any]) -> str:
    lines = [f'{name} = "{value}"' for name, value in document.items() if isinstance(value, str)]
    lines.append("links = [")
    for link in document["links"]:
        values = {"routers": link} if isinstance(link, list) else link
        lines.append("  {" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items()) + "},")
    lines.append("]")
    for name, values in document["routers"].items():
        lines += [f"[routers.{name}]", *(f"{leaf} = {json.dumps(value)}" for leaf, value in values.items())]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"routers": {"r1": {}, "r1": {}}}', "'r1' is there twice"),
        ("a.json", '{"routers":\n nothing}', "line 2: this is no JSON"),
        ("a.toml", "[routers.r1]\n[routers.r1]\n", "this is no TOML: Cannot declare ('routers', 'r1') twice"),
        ("a.yml", "? [a, b]\n: c\n", "unhashable"),
        ("a.yml", "!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a.yml", "[" * 5000, "nested too deeply"),
        ("a.yml", "", "names with values are expected here"),
        ("a.yml", "\udcff", "this is no UTF-8"),
    ],
)
def test_a_document_that_is_none_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CommandError) as raised:
        read_inventory(path)
    assert words in str(raised.value)


def ansible(**changes: Mapping[str, object]) -> dict[str, Any]:
    hosts: dict[str, dict[str, object]] = {
        "r1": {"ansible_host": "192.0.2.1", "rkmp_neighbors": ["r2"]},
        "r2": {
            "ansible_host": "2001:db8::2",
            "ansible_port": 8300,
            "ansible_user": "ops",
            "rkmp_ike_port": 4500,
            "rkmp_address": "192.0.2.2",
            "rkmp_neighbors": {"r1": ["bgp"], "r3": ["ldp", "bgp"]},
            "ansible_ssh_private_key_file": "{{ lookup('env', 'KEY') }}",
        },
        "r3": {"ansible_host": "192.0.2.3", "rkmp_neighbors": {"r2": ["bgp", "ldp"]}},
    }
    for host in hosts.values():
        host.update(rkmp_domain="example.net", rkmp_credentials="certificate")
    for name, variables in changes.items():
        hosts[name] = {**hosts.get(name, {}), **variables}
    hosts["jumphost"] = {"ansible_host": "jump.example.net"}
    return {"_meta": {"hostvars": hosts}, "all": {"children": ["ungrouped"]}}


def test_what_ansible_lists_is_an_inventory(tmp_path: Path) -> None:
    fleet = read_inventory(inventory(tmp_path, json.dumps(ansible())))
    assert fleet.credentials == "certificate"
    assert set(fleet.routers) == {"r1", "r2", "r3"}, "of a host without neighbors nothing is wanted"
    r2 = fleet.routers["r2"]
    assert (r2.address, r2.netconf_host, r2.netconf_port) == ("192.0.2.2", "2001:db8::2", 8300)
    assert (r2.identity, r2.ike_port, r2.user, r2.key) == ("r2.example.net", 4500, "ops", None)
    assert [(link.name, set(link.protocols)) for link in fleet.links] == [
        ("r1--r2", {"bgp"}),
        ("r2--r3", {"bgp", "ldp"}),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r1": {"rkmp_neighbors": ["r2", "r3"]}}, "host r1: r3 is a neighbor of it, and does not have it"),
        ({"r1": {"rkmp_neighbors": ["r2", "jumphost"]}}, "host r1: jumphost is a neighbor of it, and does not"),
        ({"r1": {"rkmp_neighbors": {"r2": ["ldp"]}}}, "host r1: r2 has other protocols for the link between them"),
        ({"r3": {"rkmp_domain": "example.org"}}, "host r3: rkmp_domain is not what other hosts have"),
        ({"r3": {"rkmp_neighbors": "r2"}}, "host r3: rkmp_neighbors are names"),
    ],
)
def test_ends_of_a_link_that_differ_in_ansible_are_refused(
    tmp_path: Path, changes: Mapping[str, Mapping[str, object]], words: str
) -> None:
    with pytest.raises(CommandError) as raised:
        read_inventory(inventory(tmp_path, json.dumps(ansible(**changes))))
    assert words in str(raised.value)


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, source = tmp_path / "out", triangle(tmp_path)
    assert make(out, source, dry_run=True) == {}
    told = json.loads(capsys.readouterr().out)
    assert told["made"] == ["a secret of r1--r2", "a secret of r2--r3"]
    assert told["written"] == ["pre-shared-keys.json", "r1.xml", "r2.xml", "r3.xml"]
    files = make(out, source)
    capsys.readouterr()
    assert make(out, source, dry_run=True, rotate=True) == files
    assert len(json.loads(capsys.readouterr().out)["written"]) == 4


def test_a_router_more_changes_its_neighbors_alone_and_one_less_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, source = tmp_path / "out", triangle(tmp_path)
    before = make(out, source)
    text = source.read_text().replace("links:", "  r4: {address: 192.0.2.4}\nlinks:\n  - [r1, r4]")
    more = make(out, inventory(tmp_path, text))
    assert {name for name in more if more[name] != before.get(name)} == {"pre-shared-keys.json", "r1.xml", "r4.xml"}
    assert before["r1.xml"] not in more["r1.xml"]
    capsys.readouterr()
    less = make(out, triangle(tmp_path))
    assert {name: less[name] for name in before if name.endswith("xml")} == {
        name: before[name] for name in before if name.endswith("xml")
    }
    assert json.loads(capsys.readouterr().out)["left-over"] == ["r4.xml"]


def test_what_the_inventory_has_no_more_is_removed_and_what_is_not_its_own_stays(
    tmp_path: Path, schema: Schema
) -> None:
    fleet = read_inventory(triangle(tmp_path))
    made = open_credentials(fleet, tmp_path / "out", rotate=False, now=NOW)
    datastores = new_datastores(schema)
    datastores.edit("running", router_configuration(fleet, fleet.routers["r2"], made), session_id=1)
    own = peer_configuration("r2", "own", port=9, proposal="ao", top="")
    datastores.edit("running", etree.fromstring(own), session_id=1)

    fewer = TRIANGLE.format(credentials="certificate").replace("  - [r2, r1]\n", "").replace("[bgp, ldp]", "[ldp]")
    fleet = read_inventory(inventory(tmp_path, fewer))
    made = open_credentials(fleet, tmp_path / "out", rotate=False, now=NOW)
    config = router_configuration(fleet, fleet.routers["r2"], made)
    datastores.edit("running", with_removals(config, datastores.tree("running")), session_id=1)
    left = datastores.tree("running")

    def named(path: str) -> list[str | None]:
        return [entry.text for entry in left.findall(path)]

    assert sorted(map(str, named(".//{*}peer/{*}name"))) == ["own", "r3"]
    assert named(".//{*}peer[{*}name='r3']/{*}association/{*}protocol") == ["ldp"]
    assert named(".//{*}credentials/{*}pre-shared-key/{*}name") == ["k"]
    assert named(".//{*}credentials/{*}certificate/{*}name") == ["fleet"]
    again = etree.tostring(left)
    datastores.edit("running", with_removals(config, datastores.tree("running")), session_id=1)
    assert etree.tostring(datastores.tree("running")) == again


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_both_ends_of_every_link_are_configured_for_each_other(tmp_path: Path, credentials: str) -> None:
    files = make(tmp_path / "out", triangle(tmp_path, credentials))
    ends: dict[tuple[str, str], tuple[object, ...]] = {}
    for name in ("r1", "r2", "r3"):
        rkmp = etree.fromstring(files[f"{name}.xml"])
        for peer in rkmp.findall(".//{*}peer"):
            protocols = [entry.text for entry in peer.findall("{*}association/{*}protocol")]
            methods = {entry.text for entry in peer.findall(".//{*}method")}
            transforms = etree.tostring(rkmp.findall(".//{*}proposal")[0])
            ends[name, peer.findtext("{*}name", "")] = (protocols, methods, transforms)
    assert len(ends) == 4
    assert all(ends[one, other] == ends[other, one] for one, other in ends)


def test_a_key_that_others_can_read_and_a_directory_that_others_can_write_to_are_refused(tmp_path: Path) -> None:
    out, source = tmp_path / "out", triangle(tmp_path, "certificate")
    files = make(out, source)
    (out / "authority-key.pem").chmod(0o640)
    with pytest.raises(CommandError, match=r"others than you can read or change .*authority-key.pem: make it 0600"):
        make(out, source)
    (out / "authority-key.pem").chmod(0o600)
    out.chmod(0o770)
    with pytest.raises(CommandError, match="others than you can write to"):
        make(out, source)
    out.chmod(0o755)
    assert make(out, source) == files, "every file is its owner's alone"


def test_the_authoritys_key_is_encrypted_where_there_is_a_passphrase(tmp_path: Path) -> None:
    out, source = tmp_path / "out", triangle(tmp_path, "certificate")
    right, other, empty = (tmp_path / name for name in ("right", "other", "empty"))
    for path, text in ((right, "a passphrase of some length\n"), (other, "another"), (empty, "\n")):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    files = make(out, source, passphrase_file=right)
    assert files["authority-key.pem"].startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert make(out, source, passphrase_file=right) == files
    with pytest.raises(CommandError, match=r"authority-key\.pem is encrypted: give --authority-passphrase-file"):
        make(out, source)
    for path, words in ((other, "or the passphrase is another"), (empty, "holds no passphrase"), (out / "x", "no ")):
        with pytest.raises(CommandError, match=words) as raised:
            make(out, source, passphrase_file=path)
        assert "another length" not in str(raised.value)
    with pytest.raises(CommandError, match="has no authority"):
        make(tmp_path / "psk", triangle(tmp_path), passphrase_file=right)


def test_certificates_follow_their_authority_and_their_routers_identity(tmp_path: Path) -> None:
    source, out = triangle(tmp_path, "certificate"), tmp_path / "out"
    files = make(out, source)
    # Nine years on the authority is renewed, and whatever it has issued with it; nothing outlives its issuer.
    now = NOW + timedelta(days=3650 - 365 - 89)
    later = make(out, source, now=now)
    authority, router = (x509.load_pem_x509_certificate(later[f"{name}.pem"]) for name in ("authority", "r1"))
    assert later["authority.pem"] != files["authority.pem"]
    router.verify_directly_issued_by(authority)
    assert router.not_valid_after_utc < authority.not_valid_after_utc
    renamed = inventory(tmp_path, source.read_text().replace("example.net", "example.org"))
    moved = x509.load_pem_x509_certificate(make(out, renamed, now=now)["r1.pem"])
    names = moved.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["r1.example.org"]
    # A key that is kept, of an authority that is another's by now.
    (out / "authority.pem").unlink()
    assert make(out, renamed, now=now)["r1.pem"] != moved.public_bytes(Encoding.PEM)


@pytest.mark.parametrize("credentials", ["psk", "certificate"])
def test_a_thousand_routers_take_seconds(tmp_path: Path, credentials: str) -> None:
    names = [f"r{number}" for number in range(1000)]
    document = {
        "credentials": credentials,
        "routers": {name: {"address": f"10.0.{number // 250}.{number % 250 + 1}"} for number, name in enumerate(names)},
        "links": [[names[number], names[(number + step) % 1000]] for number in range(1000) for step in (1, 7)],
    }
    source = tmp_path / "fleet.json"
    source.write_text(json.dumps(document), encoding="utf-8")
    begun = time.monotonic()
    files = make(tmp_path / "out", source)
    assert len(files) == (1001 if credentials == "psk" else 3002)
    assert files["r7.xml"].count(b"<peer>") == 4
    assert time.monotonic() - begun < 60


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
