"""What the side that opens can tell of a rejection, and what it leaves to the log of the other side."""

from __future__ import annotations

from typing import Any

import pytest

from tests.northbound.agents import World
from tests.northbound.test_agents import R1, R2
from tests.northbound.test_authorization import (
    BY_ANCHOR,
    BY_CERTIFICATE,
    OTHER_ROOT,
    PSK_ENTRY,
    ROOT,
    anchor,
    certificate,
    configuration,
    router,
    why_not,
)

OTHER_SECRET = PSK_ENTRY.replace("a long shared secret", "another secret altogether")
OWN = {"credentials": PSK_ENTRY + certificate("own", router("r1"), ROOT), "local": BY_CERTIFICATE}

REJECTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[str], str]] = {
    "wrong secret": (
        {"credentials": OTHER_SECRET},
        {},
        ["expects another name than fqdn:r1.example.net", "has another pre-shared key"],
        ["certificate"],
        "wrong pre-shared key",
    ),
    "unknown name": (
        {"identity": ("fqdn", "r8.example.net")},
        {},
        ["expects another name than fqdn:r8.example.net", "has another pre-shared key"],
        ["certificate"],
        "unknown identity",
    ),
    "a secret where a certificate is wanted": (
        {},
        {"credentials": PSK_ENTRY + anchor("root", ROOT), "remote": BY_ANCHOR},
        ["wants a certificate, for which it has asked"],
        ["trusts none"],
        "unsupported authentication method",
    ),
    "a certificate where a secret is wanted": (
        OWN,
        {},
        ["wants a pre-shared key, since it has asked for no certificate", "certificate of CN=r1,C=XX"],
        ["has another pre-shared key", "trusts none"],
        "unsupported authentication method",
    ),
    "a certificate of another authority": (
        OWN,
        {"credentials": PSK_ENTRY + anchor("root", OTHER_ROOT), "remote": BY_ANCHOR},
        ["trusts none of the authorities above CN=r1,C=XX, since it has asked for others"],
        ["pre-shared key"],
        "no trust anchor vouches for",
    ),
    "a certificate of somebody else": (
        OWN,
        {
            "credentials": PSK_ENTRY + anchor("root", ROOT),
            "remote": BY_ANCHOR,
            "remote_identity": ("fqdn", "r7.example.net"),
        },
        ["expects another name than fqdn:r1.example.net", "expired, revoked or not valid"],
        ["trusts none", "pre-shared key"],
        "unknown identity",
    ),
}


@pytest.mark.parametrize("name", REJECTIONS)
def test_a_rejection_tells_what_it_may_be_and_the_other_side_what_it_is(name: str) -> None:
    of_r1, of_r2, says, says_not, r2_says = REJECTIONS[name]
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", **of_r2))
    r1.edit(configuration("r1", "r2", R2, **of_r1))
    world.run(2)
    reason = why_not(r1, "r2")
    assert reason.startswith("rejected by the peer, whose own log says why: ")
    assert all(words in reason for words in says), reason
    assert not any(words in reason for words in says_not), reason
    (event, *_) = r1.heard("authentication-failure")
    assert event["reason"] == reason
    (event, *_) = r2.heard("authentication-failure")
    assert r2_says in event["reason"]
