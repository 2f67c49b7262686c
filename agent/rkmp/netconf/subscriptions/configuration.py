"""What may be configured of subscriptions: filters that can be read, and no subscriptions (RFC 8639 section 2.5).

The feature ``configured`` needs a transport to receivers, of which NETCONF has none (RFC 8640 is for dynamic
subscriptions); its list is there for state all the same. A subscriber of running.
"""

from __future__ import annotations

from collections.abc import Mapping

from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.instance_path import InstancePath, instance_path
from rkmp.datastore.schema import Schema
from rkmp.datastore.subscribers import Change
from rkmp.datastore.xpath_filter import XPathFilter
from rkmp.errors import RpcError
from rkmp.netconf.subscriptions.filters import FILTERS, EventFilter, prefixes_of
from rkmp.netconf.subscriptions.refusals import Refusal
from rkmp.netconf.subscriptions.state import SUBSCRIPTIONS
from rkmp.netconf.subscriptions.terms import SELECTION_FILTERS, STREAM_FILTERS, FilterTerms


class ConfiguredFilters:
    """Refuses configuration that could not be carried out (rkmp.datastore.ConfigurationSubscriber)."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def prepare(self, change: Change) -> ConfiguredFilters:
        """Check the filters that ``change`` adds or changes."""
        for edit in change.edits:
            if edit.kind is EditKind.DELETED:
                continue
            if edit.top == SUBSCRIPTIONS:
                raise _refusal("operation-not-supported", edit.path, "subscriptions cannot be configured")
            if edit.top == FILTERS:
                self._check(edit)
        return self

    def apply(self) -> None:
        """Whoever uses a filter looks it up."""

    def abort(self) -> None:
        """Nothing was kept."""

    def _check(self, edit: Edit) -> None:
        xpath = (STREAM_FILTERS[1], SELECTION_FILTERS[1])
        prefixes: Mapping[str, str] = prefixes_of(self._schema)
        for element in edit.element.iter(*xpath):
            try:
                if element.tag == STREAM_FILTERS[1]:
                    EventFilter(self._schema, FilterTerms(element))
                else:
                    XPathFilter.parse(element.text or "", prefixes, self._schema)
            except (Refusal, RpcError) as error:
                raise _refusal("invalid-value", instance_path(self._schema, element), error.message) from error


def _refusal(tag: str, path: InstancePath, message: str) -> RpcError:
    return RpcError(tag, message, path=path.text, path_namespaces=path.namespaces)
