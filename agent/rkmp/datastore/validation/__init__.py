"""Validation (RFC 7950 section 8): constraints compiled from the schema, checked on whole trees or after an edit.

``Validator`` is the room's edge. What an edit can affect is found from what each expression reads and from how near,
so that a change of one leaf costs the same in a small and in a large configuration; a full validation of the same
tree has the same verdict, which the tests hold it to.
"""

from rkmp.datastore.validation.validator import Validator

__all__ = ["Validator"]
