"""NACM: access control after RFC 8341, over any modules. Configured below ``/nacm`` of ietf-netconf-acm.

    control = AccessControl(schema)
    datastores.subscribe(control)
    datastores.replay(control)

    access = control.access_of(client)      # once for each message
    access.require_operation(tag)           # before an operation is looked into
    access.reader.leave_readable(...)       # on everything that leaves
    datastores.edit(..., permit=access.permit)
    access.delivers(event)                  # for each notification

Policy and rules are in ``policy``, their verdicts for a user in ``rule_table``; ``reading`` and ``writing`` apply
those to trees and edits. A recovery session may do everything. What is under nacm:default-deny-all is shown to nobody
without a rule that permits it, and to a recovery session neither; docs/decisions say why.
"""

from rkmp.netconf.access_control.access import Access, Denials, Permit
from rkmp.netconf.access_control.control import AccessControl
from rkmp.netconf.access_control.reading import Reader

__all__ = ["Access", "AccessControl", "Denials", "Permit", "Reader"]
