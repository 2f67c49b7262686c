"""A Secret shows itself to nobody who did not ask."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest

from rkmp.secret import Secret

OCTETS = b"not for your eyes"


@dataclass(frozen=True)
class Holder:
    name: str
    secret: Secret


@pytest.mark.parametrize("render", [repr, str, "{}".format, "{!r}".format])
def test_no_rendering_shows_the_octets(render: object) -> None:
    assert callable(render)
    for subject in (Secret(OCTETS), Holder("k", Secret(OCTETS)), [Secret(OCTETS)]):
        text = render(subject)
        assert "eyes" not in text
        assert OCTETS.hex() not in text


def test_it_is_compared_by_content_and_not_hashable() -> None:
    assert Secret(OCTETS) == Secret(OCTETS)
    assert Secret(OCTETS) != Secret(b"other")
    assert Secret(OCTETS) != OCTETS
    with pytest.raises(TypeError):
        hash(Secret(OCTETS))


def test_it_does_not_leave_the_process_by_accident() -> None:
    for escape in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            escape(Secret(OCTETS))


def test_it_reveals_what_it_holds_when_asked() -> None:
    assert Secret(OCTETS).reveal() == OCTETS
    assert len(Secret(OCTETS)) == len(OCTETS)
