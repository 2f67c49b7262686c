"""Captures of TCP-AO sessions, checked against keys: which key made each segment's MAC, or why none did (RFC 5925).

    verifier = Verifier(keys)
    for packet in read_packets(stream):
        finding = verifier.check(packet)

Knows files of libpcap and pcapng, what they wrap IP in, and TCP as far as TCP-AO looks at it. It opens no file itself.
"""

from rkmp.capture.files import CapturedPacket, read_packets
from rkmp.capture.keys import VerificationKey
from rkmp.capture.verification import Finding, Verdict, Verifier

__all__ = ["CapturedPacket", "Finding", "Verdict", "VerificationKey", "Verifier", "read_packets"]
