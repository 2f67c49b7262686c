"""A key chain of a router without rkmp as a consumer of keys, through the router's NETCONF server (RFC 8177).

A step is one edit of the chain, acknowledged when the running configuration shows it. The keys of the key table are
compared with the chain when the session is opened, and from time to time; what cannot be proved, since the server
does not show the string of a key, is put again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from rkmp.keytable import Direction, KeyRow, KeyTable
from rkmp.secret import Secret
from rkmp.southbound.chain_documents import ChainEdit, RemoteChain
from rkmp.southbound.chain_keys import ChainKey, ChainTerms
from rkmp.southbound.chain_plan import decided, difference, planned, recognised
from rkmp.southbound.configuration import NetconfNeighbor
from rkmp.southbound.keys import WantedKeys, consumer_key, wanted_keys
from rkmp.southbound.netconf_link import RouterLink
from rkmp.southbound.steps import Holding, Remove, Step, Usage

if TYPE_CHECKING:
    from rkmp.southbound.netconf_client import RouterClient


class KeyChainConsumer:
    """The key chain for ``neighbor`` on the router behind ``link``."""

    def __init__(
        self, neighbor: NetconfNeighbor, link: RouterLink, table: KeyTable, clock: Callable[[], datetime]
    ) -> None:
        self.name = link.configuration.name
        self.audit = link.configuration.reconcile_interval
        self._neighbor = neighbor
        self._link = link
        self._table = table
        self._clock = clock
        # The chain when it was last read, and the strings as it showed them for those that were put.
        self._chain = RemoteChain()
        self._terms: ChainTerms | None = None
        self._shown: dict[int, tuple[Secret, Secret | None]] = {}
        self._key_ids: dict[str, int] = {}

    @property
    def timeout(self) -> None:
        """The link keeps the time: others may have their turn before."""

    async def holding(self) -> Holding:
        """Compare the chain with the key table; make it where there is none, and put what cannot be proved again."""
        rows = self._rows()
        wanted = self._wanted()
        names = frozenset(key.name for key in wanted.keys)
        found = Holding()

        def plan(chain: RemoteChain | None, terms: ChainTerms) -> ChainEdit:
            nonlocal found
            known = chain or RemoteChain()
            recognition = recognised(known, rows, names, terms)
            found, self._key_ids = recognition.holding, dict(recognition.key_ids)
            return planned(known, decided(found, wanted), rows, terms, self._is_proved)

        def look(client: RouterClient) -> tuple[RemoteChain, ChainEdit | None]:
            # Without a lock as long as there is nothing to change.
            self._terms = client.terms
            chain = client.read(self._neighbor.key_chain)
            if chain is not None and not difference(chain, plan(chain, client.terms)):
                return chain, None
            return client.change(self._neighbor.key_chain, plan)

        self._take(*await self._link.run(look))
        return found

    async def apply(self, step: Step, result: Holding) -> None:
        """Change the chain, unless it is as it should be already."""
        leaving = self._key_ids.get(step.name) if isinstance(step, Remove) else None
        await self._bring(result, frozenset() if leaving is None else frozenset({leaving}))
        if isinstance(step, Remove):
            self._key_ids.pop(step.name, None)

    async def keep(self, holding: Holding) -> None:
        """Have lifetimes follow those of the key table."""
        await self._bring(holding)

    async def usage(self, holding: Holding, /) -> Usage | None:
        """Return the key that the router sends with by its own clock: of those, the one that began last."""
        if not holding.keys:
            return None
        chain = await self._link.run(lambda client: client.state(self._neighbor.key_chain))
        if chain is None or chain.sending is None:
            return None
        active = [key for key in chain.keys.values() if key.key_id in chain.sending]
        names = {self._key_ids.get(held.key.name): held.key.name for held in holding.keys}
        preferred = self._key_ids.get(holding.preferred or "")
        last = max(active, key=lambda key: (key.send_lifetime.start, key.key_id == preferred), default=None)
        sending = () if last is None else (names.get(last.key_id, f"key-id {last.key_id} of the router"),)
        return Usage(frozenset(sending))

    async def _bring(self, holding: Holding, removals: frozenset[int] = frozenset()) -> None:
        """Have the chain hold ``holding``, and the key-ids ``removals`` no more, unless it was seen to already."""
        rows = self._rows()
        holding = decided(holding, self._wanted())

        def plan(chain: RemoteChain | None, terms: ChainTerms) -> ChainEdit:
            return planned(chain or RemoteChain(), holding, rows, terms, self._is_proved, removals)

        def change(client: RouterClient) -> tuple[RemoteChain, ChainEdit | None]:
            self._terms = client.terms
            return client.change(self._neighbor.key_chain, plan)

        if self._terms is None or difference(self._chain, plan(self._chain, self._terms)):
            self._take(*await self._link.run(change))

    def _take(self, chain: RemoteChain, edit: ChainEdit | None) -> None:
        """Note what the router has now, and how it shows the keys that it was given if it was given any."""
        self._chain = chain
        if edit is None:
            return
        self._link.pushed()
        for key in edit.puts:
            there = chain.keys.get(key.key_id)
            if key.secret is not None and there is not None:
                self._shown[key.key_id] = key.secret, there.secret
        for key_id in self._shown.keys() - chain.keys.keys():
            del self._shown[key_id]
        for row in self._rows():
            of_table = consumer_key(row)
            if of_table is not None and self._terms is not None:
                self._key_ids[row.admin_key_name] = self._terms.key_id(of_table)

    def _is_proved(self, key: ChainKey, there: ChainKey) -> bool:
        """Whether the string of a key is what it should be: it is shown, or shown as it was when we put it."""
        return there.secret == key.secret or self._shown.get(key.key_id) == (key.secret, there.secret)

    def _wanted(self) -> WantedKeys:
        return wanted_keys(self._table, self._neighbor.address, self._neighbor.protocol, self._clock())

    def _rows(self) -> list[KeyRow]:
        rows = self._table.rows_for(self._neighbor.address, self._neighbor.protocol)
        return [row for row in rows if row.direction is not Direction.DISABLED and consumer_key(row) is not None]
