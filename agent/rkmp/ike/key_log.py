"""IKE SA keys as lines of Wireshark's ``ikev2_decryption_table``, for a lab: with them everything can be read.

The file goes into a Wireshark profile under that name, or is given to ``tshark -o uat:ikev2_decryption_table:LINE``.
Wireshark knows an IKE SA by its SPIs alone, so of one whose keys change in IKE_INTERMEDIATE (RFC 9242) it opens what
comes under the keys of the last line.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rkmp.ike.observation import ObservedKeys
from rkmp.wire import EncryptionId, IntegrityId

FILE_NAME = "ikev2_decryption_table"
"""How the table is called in a Wireshark profile."""

_ENCRYPTIONS: Mapping[tuple[int, int], str] = MappingProxyType(
    {
        (EncryptionId.AES_GCM_16, 128): "AES-GCM-128 with 16 octet ICV [RFC5282]",
        (EncryptionId.AES_GCM_16, 256): "AES-GCM-256 with 16 octet ICV [RFC5282]",
        (EncryptionId.AES_CBC, 128): "AES-CBC-128 [RFC3602]",
        (EncryptionId.AES_CBC, 256): "AES-CBC-256 [RFC3602]",
    }
)
_INTEGRITIES: Mapping[int, str] = MappingProxyType(
    {
        IntegrityId.NONE: "NONE [RFC4306]",
        IntegrityId.HMAC_SHA2_256_128: "HMAC_SHA2_256_128 [RFC4868]",
        IntegrityId.HMAC_SHA2_384_192: "HMAC_SHA2_384_192 [RFC4868]",
        IntegrityId.HMAC_SHA2_512_256: "HMAC_SHA2_512_256 [RFC4868]",
    }
)
"""The names by which Wireshark's table lists algorithms; tests/ike holds them against what is implemented."""


def key_log_line(observed: ObservedKeys) -> str:
    """Return the line for an IKE SA, without a line end."""
    suite, keys = observed.suite, observed.keys
    cipher = suite.encryption_algorithm
    return ",".join(
        (
            observed.initiator_spi.hex(),
            observed.responder_spi.hex(),
            keys.sk_ei.reveal().hex(),
            keys.sk_er.reveal().hex(),
            f'"{_ENCRYPTIONS[cipher.encryption_id, cipher.key_bits]}"',
            keys.sk_ai.reveal().hex(),
            keys.sk_ar.reveal().hex(),
            f'"{_INTEGRITIES[suite.integrity]}"',
        )
    )
