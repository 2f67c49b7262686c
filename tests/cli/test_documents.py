"""What ``--json`` prints has one shape, whatever the number of entries."""

from __future__ import annotations

from lxml import etree

from rkmp.cli.documents import LISTS, to_dictionary
from rkmp.daemon.agent import module_directory
from rkmp.datastore.schema import load_schema
from rkmp.netconf import NETCONF_MODULES
from rkmp.northbound import MODULES

RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"


def test_every_list_of_the_modules_is_in_the_table() -> None:
    schema = load_schema({**NETCONF_MODULES, **MODULES}, [module_directory()])
    shown = {*MODULES, "ietf-netconf-acm"}
    tops = [node for node in (*schema.top.values(), *schema.notifications.values()) if node.module in shown]
    lists = {
        "/".join(etree.QName(tag).localname for tag in node.data_path)
        for top in tops
        for node in top.descendants()
        if node.is_entry
    }
    assert lists == LISTS


def test_one_entry_is_a_list_and_one_leaf_is_text() -> None:
    data = etree.fromstring(
        f'<data><rkmp xmlns="{RKMP}"><peer><name>r2</name><association><protocol>bgp</protocol></association></peer>'
        f'</rkmp><key-table xmlns="{KEY_TABLE}"><key><admin-key-name>k</admin-key-name><peer>192.0.2.1</peer>'
        f'<rkmp xmlns="{RKMP}"><peer>r2</peer></rkmp></key></key-table></data>'
    )
    assert to_dictionary(data) == {
        "rkmp": {"peer": [{"name": "r2", "association": [{"protocol": "bgp"}]}]},
        "key-table": {"key": [{"admin-key-name": "k", "peer": ["192.0.2.1"], "rkmp": {"peer": "r2"}}]},
    }


def test_a_notification_has_the_same_shape() -> None:
    event = etree.fromstring(f'<key-installed xmlns="{KEY_TABLE}"><peer>192.0.2.1</peer></key-installed>')
    assert to_dictionary(event) == {"peer": ["192.0.2.1"]}


def test_nothing_is_an_empty_dictionary() -> None:
    assert to_dictionary(etree.fromstring("<data/>")) == {}
