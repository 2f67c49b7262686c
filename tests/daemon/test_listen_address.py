"""HOST:PORT on the command line is read as operators write it, and printed as they would read it."""

from __future__ import annotations

import pytest

from rkmp.daemon.listen_address import ListenAddress, parse_listen_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1:1830", ListenAddress("192.0.2.1", 1830)),
        ("192.0.2.1", ListenAddress("192.0.2.1", 830)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        (":1830", ListenAddress("0.0.0.0", 1830)),  # noqa: S104
        ("[2001:DB8::1]:1830", ListenAddress("2001:db8::1", 1830)),
        ("[::1]", ListenAddress("::1", 830)),
        ("::1", ListenAddress("::1", 830)),
        # An empty port is the default one, as in a URL.
        ("192.0.2.1:", ListenAddress("192.0.2.1", 830)),
    ],
)
def test_an_address_is_read(text: str, address: ListenAddress) -> None:
    assert parse_listen_address(text, 830) == address


@pytest.mark.parametrize("text", ["localhost:830", "192.0.2.1:http", "192.0.2.1:65536", "[::1", "[::1]830"])
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_listen_address(text, 830)


@pytest.mark.parametrize("text", ["192.0.2.1:1830", "[2001:db8::1]:500"])
def test_an_address_is_printed_as_it_was_read(text: str) -> None:
    assert str(parse_listen_address(text, 830)) == text
