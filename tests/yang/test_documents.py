"""What the modules accept and refuse, by the verdict of two engines that are not ours, and of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from tests.yang.judges import Answer, libyang_verdict, our_verdict, yangson_verdict

DOCUMENTS = Path(__file__).parent / "documents"
NAMESPACES = {"r": "urn:rkmp:yang:rkmp", "k": "urn:rkmp:yang:crypto-key-table"}


def document(name: str) -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.parse(DOCUMENTS / f"{name}.xml", parser).getroot()


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a document: ``path`` names the elements; each is removed, given a text, or gets children."""

    path: str
    text: str | None = None
    add: str | None = None

    def apply(self, root: etree._Element) -> None:
        found = root.xpath(self.path, namespaces=NAMESPACES)
        assert found, f"{self.path} is not in the document"
        for element in found:
            if self.text is not None:
                element.text = self.text
            elif self.add is not None:
                namespace = etree.QName(element).namespace
                added = etree.fromstring(f'<x xmlns="{namespace}">{self.add}</x>')
                element.extend(list(added))
            else:
                element.getparent().remove(element)


PEER = "//r:peer[r:name='r2']"
CERTIFIED = "//r:peer[r:name='r3']"
POLICY = "/*/r:rkmp/r:ike-policy"
SPRING = "//k:key[k:admin-key-name='spring']"
TRANSFORM = "//r:rkmp/r:proposal[r:name='ao']/r:transform"
HELLO = "//r:rkmp/r:proposal[r:name='hellos']/r:transform"
HELLO_KEY = "//k:key[k:admin-key-name='hello']"
TWIN = """
    <peer><name>twin</name><address>192.0.2.2</address><listen>loopback</listen><ike-policy>p</ike-policy>
      <authentication>
        <local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><method>psk</method><pre-shared-key>k</pre-shared-key></remote>
      </authentication>
    </peer>"""

# name: the edits that break full.xml, what yangson's complaint is and says, the app-tag and words of libyang's.
BROKEN: dict[str, tuple[tuple[Edit, ...], str, str]] = {
    # references exist
    "peer refers to no ike-policy": ((Edit(f"{PEER}/r:ike-policy", "q"),), "instance-required", "instance-required"),
    "peer refers to no listener": ((Edit(f"{PEER}/r:listen", "q"),), "must-violation|instance-required", "-required"),
    "peer refers to no pre-shared key": (
        (Edit(f"{PEER}//r:local/r:pre-shared-key", "q"),),
        "instance-required",
        "instance-required",
    ),
    "association refers to no proposal": (
        (Edit(f"{PEER}/r:association[1]/r:proposal[1]", "q"),),
        "instance-required",
        "instance-required",
    ),
    "a referenced ike-policy is removed": ((Edit(POLICY),), "instance-required", "instance-required"),
    "a referenced pre-shared key is removed": (
        (Edit("//r:credentials/r:pre-shared-key[r:name='l']"),),
        "instance-required",
        "instance-required",
    ),
    "a referenced proposal is removed": (
        (Edit("//r:rkmp/r:proposal[r:name='aes']"),),
        "instance-required",
        "instance-required",
    ),
    "a referenced listener is removed": ((Edit("//r:listen[r:address]"),), "must|instance-required", "required"),
    # a PSK method names a PSK
    "psk without a local pre-shared key": ((Edit(f"{PEER}//r:local/r:pre-shared-key"),), "missing", "Mandatory"),
    "psk without a remote pre-shared key": ((Edit(f"{PEER}//r:remote/r:pre-shared-key"),), "missing", "Mandatory"),
    "no authentication method": ((Edit(f"{PEER}//r:remote/r:method"),), "member-not-allowed", "Mandatory|When"),
    # a certificate method names a certificate, and trust anchors
    "certificate without one": (
        (Edit(f"{CERTIFIED}//r:local/r:certificate"),),
        "missing|too-few",
        "too-few-elements",
    ),
    "certificate without a trust anchor": (
        (Edit(f"{CERTIFIED}//r:remote/r:trust-anchor"),),
        "missing|too-few",
        "too-few-elements",
    ),
    "a pre-shared key beside the method certificate": (
        (Edit(f"{CERTIFIED}//r:local", add="<pre-shared-key>k</pre-shared-key>"),),
        "member-not-allowed",
        "When condition",
    ),
    "a certificate beside the method psk": (
        (Edit(f"{PEER}//r:local", add="<certificate>own</certificate>"),),
        "member-not-allowed",
        "When condition",
    ),
    "peer refers to no certificate": (
        (Edit(f"{CERTIFIED}//r:local/r:certificate", "q"),),
        "instance-required",
        "instance-required",
    ),
    "peer refers to no trust anchor": (
        (Edit(f"{CERTIFIED}//r:remote/r:trust-anchor", "q"),),
        "instance-required",
        "instance-required",
    ),
    "peer refers to no ppk": ((Edit(f"{CERTIFIED}//r:ppk/r:name", "x"),), "instance-required", "instance-required"),
    "a referenced certificate is removed": (
        (Edit("//r:credentials/r:certificate"),),
        "instance-required",
        "instance-required",
    ),
    "two ppks of one id": ((Edit("//r:credentials/r:ppk/r:id", "x"),), "data-not-unique", "data-not-unique"),
    # SendIDs
    "a send-id twice in one proposal": (
        (Edit(f"{TRANSFORM}/r:send-id", "1"),),
        "data-not-unique",
        "data-not-unique",
    ),
    "a send-id in two proposals of one association": (
        (Edit("//r:rkmp/r:proposal[r:name='aes']//r:send-id", "1"),),
        "must-violation",
        "send-id",
    ),
    "two transforms that differ in their send-ids only": (
        (Edit(f"{TRANSFORM}/r:flags"),),
        "data-not-unique",
        "data-not-unique",
    ),
    "a KeyID over 255": ((Edit(f"{TRANSFORM}[1]/r:send-id", "256"),), "must-violation", "at most 255"),
    "an SA ID below 256": ((Edit(f"{HELLO}[1]/r:send-id", "255"),), "must-violation", "at least 256"),
    "an SA ID of more than 32 bits": (
        (Edit(f"{HELLO}[1]/r:send-id", "4294967296"),),
        "invalid-type",
        "4294967296",
    ),
    # security protocols
    "a KDF where the key is used as it is": (
        (Edit(f"{HELLO}[1]", add="<kdf>kdf-hmac-sha1</kdf>"),),
        "member-not-allowed",
        "When condition",
    ),
    "an algorithm of TCP-AO for Hellos": (
        (Edit(f"{HELLO}[1]/r:auth-alg", "hmac-sha-1-96"),),
        "must-violation",
        "untruncated",
    ),
    "an algorithm of Hellos for TCP-AO": (
        (Edit(f"{TRANSFORM}[1]/r:auth-alg", "hmac-sha-256"),),
        "must-violation",
        "untruncated",
    ),
    "proposals of Hellos for a routing protocol": (
        (Edit(f"{CERTIFIED}/r:association[r:protocol='ldp']/r:proposal[1]", "hellos"),),
        "must-violation",
        "takes no others",
    ),
    "proposals of TCP-AO for Hellos": (
        (Edit(f"{CERTIFIED}/r:association[r:protocol='ldp-discovery']/r:proposal", "aes"),),
        "must-violation",
        "takes no others",
    ),
    # ike-policy
    "a second additional key exchange without a first": (
        (Edit(f"{POLICY}/r:proposal/r:additional-key-exchange"),),
        "must-violation",
        "is the first of the additional",
    ),
    "an eighth additional key exchange": (
        (Edit(f"{POLICY}/r:proposal/r:further-key-exchange[r:number='2']/r:number", "8"),),
        "invalid-type",
        "8",
    ),
    "no key exchange instead of the first": (
        (Edit(f"{POLICY}/r:proposal[r:number='1']/r:key-exchange[1]", "none"),),
        "invalid-type",
        "none",
    ),
    "datagrams that are little but headers": (
        (Edit(f"{POLICY}/r:datagram-size", "199"),),
        "invalid-type",
        "199",
    ),
    # credentials
    "a warning of an expiry at the expiry": (
        (Edit("//r:credentials/r:expiry-warning[1]", "0"),),
        "invalid-type",
        "0",
    ),
    # private-use algorithms
    "a private-use algorithm that means nothing": (
        (Edit("//r:private-algorithm"),),
        "must-violation",
        "private-algorithm",
    ),
    "a private-use algorithm with another KDF": (
        (Edit("//r:private-algorithm/r:kdf", "243"),),
        "must-violation",
        "private-algorithm",
    ),
    "a KDF number with two meanings": (
        (
            Edit(
                "//r:code-points",
                add="<private-algorithm><auth-alg>250</auth-alg><kdf>242</kdf>"
                "<algorithm>hmac-sha-256-128</algorithm></private-algorithm>",
            ),
        ),
        "data-not-unique",
        "data-not-unique",
    ),
    # two enabled peers don't share address, port and listen
    "two enabled peers at one address": ((Edit("//r:rkmp", add=TWIN),), "must-violation", "another enabled peer"),
    "two listeners at one address": (
        (Edit("//r:rkmp", add="<listen><name>again</name><address>192.0.2.1</address></listen>"),),
        "data-not-unique",
        "data-not-unique",
    ),
    # auth-alg and kdf pair as RFC 5926 allows
    "mixed algorithms in a transform": (
        (Edit(f"{TRANSFORM}[1]/r:kdf", "kdf-aes-128-cmac"),),
        "must-violation",
        "goes with",
    ),
    "a private-use auth-alg": ((Edit(f"{TRANSFORM}[1]/r:auth-alg", "241"),), "must-violation", "goes with"),
    "an unassigned auth-alg": ((Edit(f"{TRANSFORM}[1]/r:auth-alg", "3"),), "expected union value", "auth-alg|value"),
    "mixed algorithms in a key": ((Edit(f"{SPRING}/k:alg-id", "aes-128-cmac-96"),), "must-violation", "TCP-AO takes"),
    "an algorithm of another kind in a key": (
        (Edit(f"{SPRING}/k:alg-id", "none"),),
        "must-violation",
        "identity",
    ),
    "an algorithm of TCP-AO in a key of Hellos": (
        (Edit(f"{HELLO_KEY}/k:alg-id", "hmac-sha-1-96"),),
        "must-violation",
        "LDP discovery takes",
    ),
    "an algorithm of Hellos in a key of TCP-AO": (
        (Edit(f"{SPRING}/k:alg-id", "hmac-sha-256"),),
        "must-violation",
        "TCP-AO takes",
    ),
    "a KeyID in the place of an SA ID": (
        (Edit(f"{HELLO_KEY}/k:local-key-name", "0a"),),
        "must-violation",
        "eight hexadecimal digits",
    ),
    # lifetimes
    "overlap as long as the lifetime": ((Edit(f"{PEER}//r:overlap", "600"),), "must-violation", "fit into"),
    "rollover-lead as long as the lifetime": (
        (Edit(f"{PEER}//r:rollover-lead", "600"), Edit(f"{PEER}//r:overlap")),
        "must-violation",
        "fit into",
    ),
    "rollover-lead and the overlap that it is without one longer than the lifetime": (
        (Edit(f"{PEER}//r:rollover-lead", "541"), Edit(f"{PEER}//r:overlap")),
        "must-violation",
        "fit into",
    ),
    "rollover-lead and overlap longer than the lifetime": (
        (Edit(f"{PEER}//r:overlap", "301"),),
        "must-violation",
        "together",
    ),
    "overlap longer than the default lifetime": (
        (Edit(f"{PEER}//r:overlap", "86400"), Edit(f"{PEER}//r:key-lifetime")),
        "must-violation",
        "fit into",
    ),
    "a key-lifetime under a minute": (
        (
            Edit(f"{PEER}//r:key-lifetime", "59"),
            Edit(f"{PEER}//r:rollover-lead"),
            Edit(f"{PEER}//r:overlap"),
        ),
        "invalid-type",
        "59",
    ),
    "an IKE SA lifetime under a minute": ((Edit(f"{POLICY}/r:lifetime", "59"),), "invalid-type", "59"),
    "a send-lifetime that ends before it starts": (
        (Edit(f"{SPRING}/k:send-lifetime/k:end", "2026-03-01T00:00:00Z"),),
        "must-violation",
        "end after it starts",
    ),
    "an accept-lifetime that ends before it starts": (
        (
            Edit(f"{SPRING}/k:accept-lifetime/k:end", "2026-01-01T00:00:00Z"),
            Edit(f"{SPRING}/k:send-lifetime/k:end"),
        ),
        "must-violation",
        "end after it starts",
    ),
    "sent with before it is accepted": (
        (Edit(f"{SPRING}/k:accept-lifetime/k:start", "2026-03-01T00:00:01Z"),),
        "must-violation",
        "from when",
    ),
    "sent with after it is accepted": (
        (Edit(f"{SPRING}/k:accept-lifetime/k:end", "2026-05-31T23:59:59Z"),),
        "must-violation",
        "for as long",
    ),
    "a lifetime that is not in UTC": (
        (Edit(f"{SPRING}/k:send-lifetime/k:start", "2026-03-01T00:00:00+02:00"),),
        "invalid-type",
        "UTC",
    ),
    # code points
    "one number for two protocols": (
        (Edit("//r:tcp-ao-protocol-id", "212"),),
        "must-violation",
        "different Protocol IDs",
    ),
    "a Protocol ID that is not for private use": ((Edit("//r:tcp-ao-protocol-id", "7"),), "invalid-type", "7"),
    "a TS type that is not for private use": ((Edit("//r:traffic-selector-type", "240"),), "invalid-type", "240"),
    "an unassigned routing protocol": (
        (Edit(f"{PEER}/r:association[1]/r:protocol", "6"),),
        "value",
        "protocol|value",
    ),
    "a reserved routing protocol in a key": (
        (Edit(f"{SPRING}/k:protocol", "0"),),
        "expected union value",
        "value|protocol",
    ),
    # IKE proposals
    "AES-GCM and AES-CBC in one proposal": (
        (Edit(f"{POLICY}/r:proposal[1]/r:encryption[2]", "aes-cbc-128"),),
        "must-violation",
        "different proposals",
    ),
    "AES-CBC without integrity": (
        (Edit(f"{POLICY}/r:proposal[2]/r:integrity"),),
        "must-violation",
        "needs an integrity",
    ),
    "AES-GCM with integrity": (
        (Edit(f"{POLICY}/r:proposal[2]/r:encryption", "aes-gcm-16-128"),),
        "must-violation",
        "leave integrity out",
    ),
    "a proposal without a key exchange": (
        (Edit(f"{POLICY}/r:proposal[2]/r:key-exchange"),),
        "too-few|missing",
        "too-few-elements",
    ),
    "a policy proposal without encryption": (
        (Edit(f"{POLICY}/r:proposal[1]/r:encryption"),),
        "too-few|missing|must",
        "too-few-elements",
    ),
    "tries of 0": ((Edit("//r:tries", "0"),), "invalid-type", "0"),
    "a backoff that shortens": ((Edit("//r:backoff", "0.9"),), "invalid-type", "0.9"),
    # what else an entry needs
    "an association without a proposal": (
        (Edit(f"{PEER}/r:association[1]/r:proposal"),),
        "too-few|missing",
        "too-few-elements",
    ),
    "a proposal without a transform": (
        (Edit("//r:rkmp/r:proposal[r:name='aes']/r:transform"),),
        "too-few|missing",
        "too-few-elements",
    ),
    "a peer without an address": ((Edit(f"{PEER}/r:address"),), "missing", "Mandatory"),
    "a peer address with a zone": ((Edit("//r:peer/r:address[. = '2001:db8::3']", "fe80::1%eth0"),), "type", "fe80"),
    "a listener of the other IP version": (
        (Edit(f"{PEER}/r:listen", "loopback6"),),
        "must-violation",
        "both IPv4",
    ),
    "port 0": ((Edit(f"{PEER}/r:port", "0"),), "invalid-type", "0"),
    "an identity that is not of its type": (
        (Edit(f"{PEER}//r:identity/r:value", "r2"),),
        "must-violation",
        "as the type",
    ),
    "an IPv4 identity that is a name": ((Edit("//r:local-identity/r:type", "ipv4"),), "must-violation", "as the type"),
    "an identity without a value": ((Edit("//r:local-identity/r:value"),), "missing", "Mandatory"),
    "a pre-shared key without a secret": ((Edit("//r:secret/r:keystring"),), "missing", "missing-choice|Mandatory"),
    "a pre-shared key in both notations": (
        (Edit("//r:secret[r:keystring]", add="<hexadecimal-string>00</hexadecimal-string>"),),
        "case|choice|excl|unexpected|member",
        "case|choice",
    ),
    "half an octet": ((Edit("//r:secret/r:hexadecimal-string", "0"),), "invalid-type|pattern", "pattern|length"),
    "a key without key material": ((Edit(f"{SPRING}/k:hexadecimal-string"),), "missing", "missing-choice|Mandatory"),
    "a key without a peer": ((Edit(f"{SPRING}/k:peer"),), "too-few|missing", "too-few-elements"),
    "a key name in upper case": ((Edit(f"{SPRING}/k:local-key-name", "0A"),), "invalid-type", "0A|pattern"),
    "a KeyID of two octets": ((Edit(f"{SPRING}/k:local-key-name", "0a0b"),), "must-violation", "two hexadecimal"),
    "a SendID of two octets": ((Edit(f"{SPRING}/k:peer-key-name", "0a0b"),), "must-violation", "two hexadecimal"),
    "state as configuration": ((Edit(SPRING, add="<state>active</state>"),), "state|config|unexpected|Raw", "state"),
}
for _field in ("local-key-name", "peer-key-name", "protocol", "kdf", "alg-id"):
    BROKEN[f"a key without {_field}"] = ((Edit(f"{SPRING}/k:{_field}"),), "missing|must", "Mandatory")

ACCEPTED: dict[str, tuple[Edit, ...]] = {
    "as it stands": (),
    "a disabled peer at another's address": (
        Edit("//r:rkmp", add=TWIN.replace("<name>twin</name>", "<name>twin</name><enabled>false</enabled>")),
    ),
    "a peer at another's address with another port": (
        Edit("//r:rkmp", add=TWIN.replace("<name>twin</name>", "<name>twin</name><port>501</port>")),
    ),
    "a peer at another's address without its listener": (
        Edit("//r:rkmp", add=TWIN.replace("<listen>loopback</listen>", "")),
    ),
    "one send-id in proposals of different associations": (
        Edit("//r:rkmp/r:proposal[r:name='aes']//r:send-id", "1"),
        Edit(f"{PEER}/r:association[1]/r:proposal[. = 'ao']"),
    ),
    "a key for a private-use protocol with names of its own": (
        Edit(f"{SPRING}/k:protocol", "240"),
        Edit(f"{SPRING}/k:local-key-name", "0a0b"),
    ),
    "a lifetime without ends": (Edit(f"{SPRING}/k:send-lifetime/*"), Edit(f"{SPRING}/k:accept-lifetime/*")),
    "identities of every type": (
        Edit("//r:local-identity/r:type", "dn"),
        Edit("//r:local-identity/r:value", "CN=r1,O=example"),
        Edit(f"{PEER}//r:identity/r:type", "ipv6"),
        Edit(f"{PEER}//r:identity/r:value", "2001:db8::2"),
    ),
}


# What a client is answered (the table of rpc-errors in docs/reference), by what the other engines call it.
ANSWERS: dict[str, Answer] = {
    "instance-required": ("data-missing", "instance-required"),
    "-required": ("data-missing", "instance-required"),
    "data-not-unique": ("operation-failed", "data-not-unique"),
    "too-few-elements": ("operation-failed", "too-few-elements"),
    "missing-choice": ("data-missing", "missing-choice"),
    "Mandatory": ("missing-element", None),
    "case": ("bad-element", None),
    "state": ("unknown-element", None),
    "When condition": ("unknown-element", None),
    "must-violation": ("operation-failed", "must-violation"),
}
INVALID_VALUE = ("invalid-value", None)


def answer_to(name: str) -> Answer:
    _, by_yangson, by_libyang = BROKEN[name]
    if by_libyang == "identity":
        # yangson does not look at the base of an identity, and stumbles later.
        return INVALID_VALUE
    called = {*by_libyang.split("|"), *by_yangson.split("|")}
    return next((answer for words, answer in ANSWERS.items() if words in called), INVALID_VALUE)


def edited(edits: tuple[Edit, ...]) -> etree._Element:
    root = document("full")
    for edit in edits:
        edit.apply(root)
    return root


def test_the_shortest_document_that_must_be_accepted_is() -> None:
    assert yangson_verdict(document("router")) is None
    assert libyang_verdict(document("router")) is None
    assert our_verdict(document("router")) is None


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    root = edited(ACCEPTED[name])
    assert yangson_verdict(root) is None
    assert libyang_verdict(root) is None
    assert our_verdict(root) is None


@pytest.mark.parametrize("name", BROKEN)
def test_refused_for_the_right_reason(name: str) -> None:
    edits, by_yangson, by_libyang = BROKEN[name]
    root = edited(edits)
    for verdict, expected in ((yangson_verdict(root), by_yangson), (libyang_verdict(root), by_libyang)):
        assert verdict is not None, f"accepted; expected {expected}"
        assert any(word.lower() in verdict.lower() for word in expected.split("|")), verdict
    assert our_verdict(root) == answer_to(name)
