"""Bad requests, and some good ones beside them, each with the answer that the RFCs ask for.

The kinds are those in which servers are known to differ. Sections: RFC 6241 4.3, 7, 8 and appendix A, RFC 7950 7.8.6,
8.3 and 15.
"""

from __future__ import annotations

ZOO = "urn:example:zoo"
ERRORS = "urn:example:errors"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"

START = f"""<zoo xmlns="{ZOO}"><species><name>a</name><latin>strix</latin></species><species><name>b</name></species>
    <cage><hall>east</hall><number>1</number><size>2</size><animal>a</animal></cage>
    <feeding><id>1</id><hour>1</hour></feeding></zoo><holiday xmlns="{ZOO}">x</holiday>"""
CAGE = "/z:zoo/z:cage[z:hall='east'][z:number='1']"


def operation(name: str, content: str = "", attributes: str = "") -> str:
    """An operation, with the prefixes bound that its content uses."""
    return (
        f'<{name} xmlns="{BASE}" xmlns:nc="{BASE}" xmlns:yang="{YANG}" xmlns:z="{ZOO}" xmlns:err="{ERRORS}" '
        f"{attributes}>{content}</{name}>"
    )


def edit(content: str, options: str = "", target: str = "running") -> str:
    return operation("edit-config", f"<target><{target}/></target>{options}<config>{content}</config>")


TRIED = "<test-option>test-only</test-option>"


def zoo(content: str, options: str = "") -> str:
    return edit(f'<zoo xmlns="{ZOO}">{content}</zoo>', options)


def holiday(content: str) -> str:
    return edit(content.replace("<holiday", f'<holiday xmlns="{ZOO}"'))


def value(content: str) -> str:
    return edit(f'<values xmlns="{ERRORS}">{content}</values>', TRIED)


def cage(content: str) -> str:
    return zoo(f"<cage><hall>east</hall><number>1</number>{content}</cage>")


def get_config(content: str = "<source><running/></source>") -> str:
    return operation("get-config", content)


def xpath(select: str) -> str:
    return operation("get", f'<filter type="xpath" select="{select}"/>')


def get_data(content: str) -> str:
    return f'<get-data xmlns="{NMDA}" xmlns:ds="{DATASTORES}">{content}</get-data>'


CASES: dict[str, str] = {
    # Names
    "unknown leaf in a known list": zoo("<species><name>a</name><bogus/></species>"),
    "unknown top element, known namespace": edit(f'<bogus xmlns="{ZOO}"/>'),
    "unknown namespace": edit('<zoo xmlns="urn:example:nowhere"/>'),
    "no namespace of its own": edit("<zoo/>"),
    "missing key": zoo("<cage><hall>east</hall></cage>"),
    "key not first": zoo("<species><latin>bubo</latin><name>a</name></species>", TRIED),
    "same entry twice in one edit": zoo("<species><name>c</name></species><species><name>c</name></species>"),
    "same leaf twice in one edit": zoo("<motto>a</motto><motto>b</motto>"),
    "text in a container": zoo("text"),
    "child element in a leaf": zoo("<motto><x/></motto>"),
    "config false node in edit-config": zoo("<visitors>7</visitors>"),
    "both cases of a choice in one edit": zoo(
        "<feeding><id>1</id><hour>1</hour><every><hours>9</hours></every></feeding>"
    ),
    "other case replaces case": zoo("<feeding><id>1</id><every><hours>9</hours></every></feeding>", TRIED),
    "node whose feature is not there": value("<rare>x</rare>"),
    # Values
    "int8 not a number": value("<small>abc</small>"),
    "int8 empty": value("<small/>"),
    "int8 too big for the type": value("<small>700</small>"),
    "range": value("<small>11</small>"),
    "int8 with a sign": value("<small>+5</small>"),
    "int8 with white space": value("<small> 5 </small>"),
    "int8 hexadecimal": value("<small>0x3</small>"),
    "int8 with a leading zero": value("<small>03</small>"),
    "int8 with a fraction": value("<small>1.0</small>"),
    "pattern with error-message and error-app-tag": value("<only-lower>UPPER</only-lower>"),
    "length with error-message": value("<two-to-four>x</two-to-four>"),
    "enumeration": zoo("<cage><hall>up</hall><number>1</number></cage>"),
    "boolean 1": zoo("<open>1</open>"),
    "key value too long": zoo("<species><name>much-too-long</name></species>"),
    "key empty": zoo("<species><name/></species>"),
    "decimal64 with too many fraction digits": value("<amount>1.234</amount>"),
    "identityref unknown": zoo("<species><name>a</name><kind>z:fish</kind></species>"),
    "identityref with an unbound prefix": zoo("<species><name>a</name><kind>zz:owl</kind></species>"),
    "bits unknown": value("<flags>z</flags>"),
    "bits twice": value("<flags>a a</flags>"),
    "union without a match": value("<one-of>999</one-of>"),
    "empty with a value": value("<nothing>something</nothing>"),
    "binary that is not base64": value("<blob>@@@</blob>"),
    # Constraints
    "leafref to nowhere": zoo("<either>zz</either>"),
    "leaf-list of leafrefs to nowhere": cage("<animal>x</animal>"),
    "delete the target of a leafref": zoo("<species nc:operation='delete'><name>a</name></species>"),
    "must with error-message and error-app-tag": cage("<size>1</size><animal>b</animal>"),
    "must without": zoo("<guest>rex</guest>"),
    "when false, explicit node": zoo("<night>loud</night>"),
    "when true and the node in one edit": zoo("<open>false</open><night>loud</night>", TRIED),
    "max-elements of a list": zoo(
        "".join(f"<cage><hall>west</hall><number>{n}</number><animal>a</animal></cage>" for n in range(4))
    ),
    "min-elements": cage("<animal nc:operation='delete'>a</animal>"),
    "unique": zoo("<species><name>b</name><latin>strix</latin></species>"),
    "mandatory leaf missing": zoo("<keeper/>"),
    "mandatory choice missing": zoo("<feeding><id>2</id></feeding>"),
    "delete a mandatory choice": zoo("<feeding><id>1</id><hour nc:operation='delete'>1</hour></feeding>"),
    "instance-identifier to nowhere": zoo("<pointer>/z:zoo/z:species[z:name='x']</pointer>"),
    "instance-identifier that is none": zoo("<pointer>nonsense[</pointer>"),
    "two faults in one edit": zoo("<guest>rex</guest><either>zz</either>"),
    "two bad values in one edit": value("<small>abc</small><flags>z</flags>"),
    # Operations on nodes
    "create an entry that exists": zoo("<species nc:operation='create'><name>a</name></species>"),
    "create a leaf that exists": cage("<size nc:operation='create'>3</size>"),
    "create a leaf that is only its default": zoo("<open nc:operation='create'>true</open>", TRIED),
    "delete an entry that does not exist": zoo("<species nc:operation='delete'><name>z</name></species>"),
    "delete a leaf that does not exist": zoo("<motto nc:operation='delete'/>"),
    "delete a leaf that is only its default": zoo("<open nc:operation='delete'/>"),
    "remove what does not exist": zoo("<species nc:operation='remove'><name>z</name></species>"),
    "merge below an entry that does not exist": zoo(
        "<species><name>z</name><latin nc:operation='merge'>x</latin></species>",
        "<default-operation>none</default-operation>",
    ),
    "nothing marked, by default none": zoo(
        "<species><name>a</name></species>", "<default-operation>none</default-operation>"
    ),
    "bad operation attribute": zoo("<motto nc:operation='bogus'>x</motto>"),
    "unknown attribute of the base namespace": zoo("<motto nc:bogus='x'>x</motto>"),
    "unknown attribute without a namespace": zoo("<motto bogus='x'>x</motto>"),
    "insert before what is not there": holiday("<holiday yang:insert='before' yang:value='y'>z</holiday>"),
    "insert bogus": holiday("<holiday yang:insert='bogus'>z</holiday>"),
    "insert without value": holiday("<holiday yang:insert='before'>z</holiday>"),
    "insert with a malformed key": zoo("<feeding yang:insert='before' yang:key='1'><id>2</id><hour>1</hour></feeding>"),
    "insert where the system orders": zoo("<guest yang:insert='first'>a</guest>"),
    # Parameters of edit-config
    "no target": operation("edit-config", "<config/>"),
    "no config": operation("edit-config", "<target><running/></target>"),
    "unknown target": edit("", target="bogus"),
    "bad default-operation": edit("", "<default-operation>bogus</default-operation>"),
    "bad error-option": edit("", "<error-option>bogus</error-option>"),
    "continue-on-error, one good, one bad": zoo(
        "<motto>x</motto><night-guard nc:operation='delete'/>", "<error-option>continue-on-error</error-option>"
    ),
    "stop-on-error, one bad": zoo("<night-guard nc:operation='delete'/>", "<error-option>stop-on-error</error-option>"),
    "test-only": zoo("<motto>x</motto>", TRIED),
    "test-only, must fails": zoo("<guest>rex</guest>", TRIED),
    "unknown parameter": operation("edit-config", "<target><running/></target><bogus/><config/>"),
    "empty config": edit(""),
    # Operations
    "unknown operation of the base namespace": operation("bogus"),
    "unknown operation of an unknown namespace": '<bogus xmlns="urn:example:nowhere"/>',
    "an operation that nothing carries out": f'<unserved xmlns="{ERRORS}"/>',
    "an attribute of an operation": operation("get", attributes='x="1"'),
    # Datastores
    "get-config of an unknown source": get_config("<source><bogus/></source>"),
    "get-config without a source": get_config(""),
    "filter of an unknown element": get_config('<source><running/></source><filter type="subtree"><none/></filter>'),
    "filter of an unknown namespace": get_config(
        '<source><running/></source><filter type="subtree"><none xmlns="urn:example:nowhere"/></filter>'
    ),
    "filter of a bogus type": operation("get", '<filter type="bogus"/>'),
    "xpath that is none": xpath("/z:zoo["),
    "xpath with an unbound prefix": xpath("/zz:zoo"),
    "xpath of an unknown node": xpath("/z:nothing"),
    "xpath filter without select": operation("get", '<filter type="xpath"/>'),
    "xpath that is a number": xpath("count(/z:zoo)"),
    "with-defaults bogus": get_config(
        f'<source><running/></source><with-defaults xmlns="{WITH_DEFAULTS}">bogus</with-defaults>'
    ),
    "copy-config onto itself": operation("copy-config", "<target><running/></target><source><running/></source>"),
    "delete-config of running": operation("delete-config", "<target><running/></target>"),
    "delete-config of candidate": operation("delete-config", "<target><candidate/></target>"),
    "validate an unknown source": operation("validate", "<source><bogus/></source>"),
    "commit, nothing changed": operation("commit"),
    "cancel-commit, none pending": operation("cancel-commit"),
    "commit with an unknown persist-id": operation("commit", "<persist-id>x</persist-id>"),
    "confirm-timeout 0": operation("commit", "<confirmed/><confirm-timeout>0</confirm-timeout>"),
    "validate a config whose must fails": operation(
        "validate", f'<source><config><zoo xmlns="{ZOO}"><guest>rex</guest></zoo></config></source>'
    ),
    "unlock, no lock": operation("unlock", "<target><running/></target>"),
    "kill-session, no such session": operation("kill-session", "<session-id>4294967295</session-id>"),
    "kill-session, 0": operation("kill-session", "<session-id>0</session-id>"),
    # The others
    "get-schema, unknown identifier": f'<get-schema xmlns="{MONITORING}"><identifier>bogus</identifier></get-schema>',
    "get-schema, a format that is not had": (
        f'<get-schema xmlns="{MONITORING}" xmlns:ncm="{MONITORING}"><identifier>zoo</identifier>'
        "<format>ncm:yin</format></get-schema>"
    ),
    "create-subscription, unknown stream": (
        f'<create-subscription xmlns="{NOTIFICATION}"><stream>bogus</stream></create-subscription>'
    ),
    "get-data, unknown datastore": get_data("<datastore>ds:bogus</datastore>"),
    "edit-data on operational": (
        f'<edit-data xmlns="{NMDA}" xmlns:ds="{DATASTORES}"><datastore>ds:operational</datastore><config/></edit-data>'
    ),
}
"""What is asked, by what is wrong with it; nothing of it changes running."""
