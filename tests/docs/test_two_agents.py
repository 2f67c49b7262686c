"""Pages that go on from the tutorial: their commands work as they are written, one after another on a pair of agents.

The order is that in which a page finds what it needs: the page on trouble is about jobs of the shell and comes first,
the one on quantum computers uses what that on certificates has made.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import pytest

from tests.docs.pages import REPOSITORY, Page
from tests.docs.shell import Shell, free_port, shell_in, with_two_agents
from tests.real_parts import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CAPTURE = """
import json, time
from dataclasses import replace
from rkmp.cli.key_documents import keys_of
from tests.capture.files import pcap, timed
from tests.capture.sessions import Session
key = keys_of(json.load(open("lab/keys.json")))[-1]
key = replace(key, name="sha1" if key.kdf == "hmac-sha-1" else "aes")
session = Session(local="127.0.0.1", remote="127.0.0.1")
packets = [*session.handshake(key), session.segment(key, payload=b"keepalive")]
open("lab/bgp.pcap", "wb").write(pcap(timed(packets, start=time.time())))
"""


def python(program: str) -> str:
    """Return the command that runs a program with the interpreter of the test."""
    return f'"{sys.executable}" - <<"PROGRAM"\n{program}PROGRAM\n'


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell_in(tmp_path_factory.mktemp("agents")) as shell:
        with_two_agents(shell)
        yield shell


def diffed(shell: Shell, page: Page, *languages: str) -> None:
    """Have r1 validate documents, which it does without taking them; ``@FILE@`` is what is in that file."""
    files = {path.name: path.read_text() for path in (shell.directory / "lab").iterdir() if path.suffix in _TEXTS}
    for language in languages:
        for number, document in enumerate(page.blocks(language)):
            name = f"{page.path.stem}-{number}.{language}"
            text = re.sub(r"@([\w.]+)@", lambda found: files[found[1]], document)
            (shell.directory / "lab" / name).write_text(text)
            shell.run(f"r1 diff lab/{name}")


_TEXTS = {".pem", ".key", ".crl", ".pub"}


@pytest.mark.page("docs/how-to/troubleshoot.md", "sh")
def test_trouble_is_found_as_it_is_written(page: Page, shell: Shell) -> None:
    blocks = page.blocks("sh")
    before_verifying = next(number for number, block in enumerate(blocks) if "verify" in block)
    out = shell.run(*blocks[:before_verifying], python(CAPTURE), *blocks[before_verifying:])
    well, guessed, certain, key_log = re.findall(
        r"^nothing is wrong that can be seen|^psk-differs .*|^key-log .*", out, re.MULTILINE
    )
    assert well.startswith("nothing is wrong")
    assert guessed.startswith("psk-differs  agent peer r2 bgp: rejected by the peer")
    assert certain.startswith("psk-differs  peer's agent called by 127.0.0.1: ")
    assert "wrong pre-shared key" in certain
    assert "ikev2_decryption_table" in key_log
    assert out.count("doctor says 4") == 3
    assert "IKE_AUTH request, message ID" in out
    assert "TCP options protected" in out
    assert "packet 4, 127.0.0.1:40000 to 127.0.0.1:179: verified" in out
    assert "sent with and accepted" in out
    assert (shell.directory / "lab" / "keys.svg").read_text().startswith("<svg")


@pytest.mark.page("docs/how-to/monitoring.md", "sh")
def test_agents_are_watched_as_it_is_written(page: Page, shell: Shell) -> None:
    for name in ("prometheus", "curl"):
        program(name)
    (shell.directory / "examples").symlink_to(REPOSITORY / "examples")
    ports = {port: free_port() for port in ("9831", "9832", "9090")}
    written = (re.sub("9831|9832|9090", lambda port: ports[port[0]], block) for block in page.blocks("sh"))
    served, _, asked, logged, collected, _ = (shell.run(block) for block in written)
    assert 'rkmp_association_keyed{peer="r2",protocol="bgp"} 1.0' in served
    assert re.search(r'instance="127.0.0.1:\d+".*peer="r2".* => 2\d\.', asked)
    assert "{} => 0 @" in asked
    assert "ike-sa-up peer=r2 " in logged
    assert json.loads(collected.splitlines()[-1])["message"] == "stopped"


def test_the_page_on_monitoring_says_what_every_alert_means() -> None:
    rules = (REPOSITORY / "examples" / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs" / "how-to" / "monitoring.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Rkmp\w+)`", page, re.MULTILINE) == re.findall(r"- alert: (\w+)", rules)


@pytest.mark.page("docs/how-to/certificates.md", "sh", "xml")
def test_certificates_are_taken_revoked_and_renewed_without_a_gap(page: Page, shell: Shell) -> None:
    out = shell.run(*page.blocks("sh"))
    assert "certificate-expires-at" in out
    assert "was revoked" in out
    revoked = out[out.index("was revoked") :]
    # What is sent with stays.
    assert re.search(r"^r\d-bgp-.* active \*", revoked, re.MULTILINE)
    own, shown = re.findall(r"certificate-expiring .*seconds-left=(\d+)", shell.run(EXPIRING))
    assert 0 < int(own) <= int(shown) + 60 < 20 * 86400 + 60
    assert "key-expired" not in shell.run("r1 show events; r2 show events")
    diffed(shell, page, "xml")


EXPIRING = "for router in r2 r1; do $router show events | grep -m 1 certificate-expiring; done"


@pytest.mark.page("docs/how-to/post-quantum.md", "sh", "python")
def test_what_is_safe_from_quantum_computers_is_seen_and_insisted_on(page: Page, shell: Shell) -> None:
    *before, with_ml_dsa = page.blocks("sh")
    seen, _, introduced, _ = (shell.run(block) for block in before)
    assert "ml-kem-768" in seen
    assert "uses-ppk>true" in introduced
    assert "ml-kem-1024" in introduced
    shell.run(python(page.blocks("python")[0]))
    shell.run(with_ml_dsa)
    in_use = shell.run("r1 show peers --xml")
    for promise in ("uses-ppk>true", "ml-kem-1024", "auth-method>certificate"):
        assert promise in in_use
    shown = shell.run("openssl x509 -in lab/r2.pem -noout -text")
    assert "2.16.840.1.101.3.4.3.18" in shown or "ML-DSA-65" in shown


@pytest.mark.page("docs/how-to/configure-ike.md", "xml")
def test_an_agent_takes_how_peers_are_met(page: Page, shell: Shell) -> None:
    diffed(shell, page, "xml")


@pytest.mark.page("docs/how-to/manage-the-agent.md", "xml")
def test_an_agent_takes_how_it_is_managed(page: Page, shell: Shell) -> None:
    diffed(shell, page, "xml")


@pytest.mark.page("docs/how-to/give-keys-to-bird.md", "xml")
def test_an_agent_takes_who_gets_keys(page: Page, shell: Shell) -> None:
    diffed(shell, page, "xml")


@pytest.mark.page("docs/key-api.md", "xml")
def test_an_agent_takes_who_may_read_keys(page: Page, shell: Shell) -> None:
    diffed(shell, page, "xml")


@pytest.mark.page("docs/cli.md", "yaml")
def test_an_agent_takes_other_notations(page: Page, shell: Shell) -> None:
    shell.run(OLD_POLICY)
    diffed(shell, page, "yaml")


# What the document deletes has to be there.
OLD_POLICY = """echo '<rkmp xmlns="urn:rkmp:yang:rkmp"><ike-policy><name>old</name></ike-policy></rkmp>' > lab/old.xml
r1 apply lab/old.xml
"""
