"""The operations about subscriptions, as a client writes them."""

from __future__ import annotations

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
SHOP = "urn:example:shop"


def sn(name: str) -> str:
    return f"{{{SN}}}{name}"


def yp(name: str) -> str:
    return f"{{{YP}}}{name}"


def shop(name: str) -> str:
    return f"{{{SHOP}}}{name}"


def stream(parameters: str = "", name: str = "NETCONF") -> str:
    """Return establish-subscription to an event stream."""
    return f'<establish-subscription xmlns="{SN}"><stream>{name}</stream>{parameters}</establish-subscription>'


def push(trigger: str, selection: str = "", datastore: str = "operational", parameters: str = "") -> str:
    """Return establish-subscription to a datastore."""
    return (
        f'<establish-subscription xmlns="{SN}" xmlns:yp="{YP}">'
        f'<yp:datastore xmlns:ds="{DS}">ds:{datastore}</yp:datastore>{selection}{trigger}{parameters}'
        f"</establish-subscription>"
    )


def periodic(period: int, anchor: str | None = None) -> str:
    """Return the update trigger with a period in centiseconds."""
    given = "" if anchor is None else f"<yp:anchor-time>{anchor}</yp:anchor-time>"
    return f"<yp:periodic><yp:period>{period}</yp:period>{given}</yp:periodic>"


def on_change(dampening: int | None = None, *, sync: bool = True, excluded: tuple[str, ...] = ()) -> str:
    """Return the other update trigger, with its dampening period in centiseconds."""
    parts = "" if dampening is None else f"<yp:dampening-period>{dampening}</yp:dampening-period>"
    parts += "" if sync else "<yp:sync-on-start>false</yp:sync-on-start>"
    parts += "".join(f"<yp:excluded-change>{kind}</yp:excluded-change>" for kind in excluded)
    return f"<yp:on-change>{parts}</yp:on-change>"


def subtree(content: str) -> str:
    """Return a subtree filter of a datastore."""
    return f"<yp:datastore-subtree-filter>{content}</yp:datastore-subtree-filter>"


def xpath(expression: str, bindings: str = f'xmlns:s="{SHOP}"') -> str:
    """Return an XPath filter of a datastore."""
    return f"<yp:datastore-xpath-filter {bindings}>{expression}</yp:datastore-xpath-filter>"


def modify(number: int, parameters: str) -> str:
    """Return modify-subscription."""
    return f'<modify-subscription xmlns="{SN}" xmlns:yp="{YP}"><id>{number}</id>{parameters}</modify-subscription>'


def delete(number: int) -> str:
    """Return delete-subscription."""
    return f'<delete-subscription xmlns="{SN}"><id>{number}</id></delete-subscription>'


def kill(number: int) -> str:
    """Return kill-subscription."""
    return f'<kill-subscription xmlns="{SN}"><id>{number}</id></kill-subscription>'


def resync(number: int) -> str:
    """Return resync-subscription."""
    return f'<resync-subscription xmlns="{YP}"><id>{number}</id></resync-subscription>'
