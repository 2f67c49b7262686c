"""The ``url`` parameter of operations (RFC 6241 section 8.8): files of the agent, for whom they are permitted."""

from __future__ import annotations

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.request import Request
from rkmp.netconf.url_files import UrlFiles


def url_in(request: Request, parameter: str) -> str | None:
    """Return the URL that ``source`` or ``target`` holds, or None where it holds something else."""
    container = request.parameter(parameter)
    return None if container is None else container.findtext(base("url"))


def files_of(request: Request) -> UrlFiles:
    """Return the files. Raises RpcError where there are none, or the user may not use them in this operation."""
    request.access.require_files(str(request.operation.tag))
    files = request.server.files
    if files is None:
        raise RpcError("operation-not-supported", "this server has no files", type="protocol")
    return files


def read_url(request: Request, url: str) -> etree._Element:
    """Return the ``config`` element of the file that a URL names. Raises RpcError."""
    config = files_of(request).read(url)
    # The datastores' own name for what is above the top-level nodes: paths of errors begin below it.
    config.tag = request.server.schema.root.tag
    return config
