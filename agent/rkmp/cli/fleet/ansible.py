"""Ansible's inventory as ours: what ``ansible-inventory --list`` prints, with groups and their variables worked out.

    ansible-inventory -i inventory --list | rkmp init-fleet - --output fleet

Hosts with the variable ``rkmp_neighbors`` are the routers: names, or names with lists of protocols. ``rkmp_address``
(or ``ansible_host``), ``rkmp_ike_port``, ``rkmp_domain`` and ``rkmp_credentials`` are what they are in ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rkmp.errors import CommandError


def is_of_ansible(document: Any) -> bool:
    """Tell whether this is what ``ansible-inventory --list`` prints."""
    return isinstance(document, dict) and isinstance(document.get("_meta"), dict) and "hostvars" in document["_meta"]


def from_ansible(document: Mapping[str, Any], wrong: Callable[[str, str], CommandError]) -> dict[str, Any]:
    """Return our own document of Ansible's hosts, those that have ``rkmp_neighbors``.

    Both ends of a link have to name each other, with the same protocols; ``wrong`` makes an error of a place and what
    is wrong there.
    """
    hosts = document["_meta"]["hostvars"]
    if not isinstance(hosts, dict) or not all(isinstance(variables, dict) for variables in hosts.values()):
        raise wrong("_meta: hostvars", "names with variables are expected here")
    members = {name: variables for name, variables in hosts.items() if "rkmp_neighbors" in variables}
    neighbors = {name: _neighbors(name, variables, wrong) for name, variables in members.items()}
    links = []
    for name, named in neighbors.items():
        for other, protocols in named.items():
            back = neighbors.get(other, {}).get(name)
            if back is None:
                raise wrong(f"host {name}", f"{other} is a neighbor of it, and does not have it as one of its own")
            if set(back) != set(protocols):
                raise wrong(f"host {name}", f"{other} has other protocols for the link between them")
            if name < other:
                links.append({"routers": [name, other], "protocols": protocols})
    shared = {ours: _same(theirs, members, wrong) for ours, theirs in _SHARED.items()}
    return {
        **{name: value for name, value in shared.items() if value is not None},
        "routers": {name: _router(variables) for name, variables in members.items()},
        "links": links,
    }


_SHARED = {"domain": "rkmp_domain", "credentials": "rkmp_credentials"}
"""What is said of the fleet as a whole, and Ansible's variable for it, which all hosts share."""


def _same(variable: str, members: Mapping[str, Mapping[str, Any]], wrong: Callable[[str, str], CommandError]) -> Any:
    values = [variables.get(variable) for variables in members.values()]
    for name, value in zip(members, values, strict=True):
        if value != values[0]:
            raise wrong(f"host {name}", f"{variable} is not what other hosts have")
    return values[0] if values else None


def _neighbors(
    name: str, variables: Mapping[str, Any], wrong: Callable[[str, str], CommandError]
) -> dict[str, list[str]]:
    """Return the neighbors of a host, each with its protocols: a list of names has BGP with each."""
    value = variables["rkmp_neighbors"]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = {each: ["bgp"] for each in value}
    if not isinstance(value, dict) or not all(isinstance(each, list) for each in value.values()):
        raise wrong(f"host {name}", "rkmp_neighbors are names, or names with lists of protocols")
    return {str(other): [str(protocol) for protocol in protocols] for other, protocols in value.items()}


def _router(variables: Mapping[str, Any]) -> dict[str, Any]:
    host = str(variables.get("ansible_host", ""))
    port = variables.get("ansible_port")
    bracketed = f"[{host}]" if ":" in host else host
    found = {
        "address": variables.get("rkmp_address", host),
        "netconf": bracketed if port is None else f"{bracketed}:{port}",
        "ike-port": variables.get("rkmp_ike_port"),
        "user": _plain(variables.get("ansible_user")),
        "key": _plain(variables.get("ansible_ssh_private_key_file")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a value, None for a template, which Ansible renders when it connects and not when it lists."""
    return None if isinstance(value, str) and "{{" in value else value
