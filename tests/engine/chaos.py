"""One run of two routers under everything that may go wrong, decided by a seed alone.

``python -m tests.engine.chaos SEED`` replays one; ``python -m tests.engine.chaos FIRST LAST`` runs a range. With
``meddling`` before the seeds operators take configuration away and bring it back, too; then keys may be missing
meanwhile, and only the end counts.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace

from rkmp.engine import EngineConfiguration, IkePolicy, Initiate, ProposalConfiguration
from rkmp.errors import EngineRefusal
from rkmp.secret import Secret
from tests.engine.simulation import AES, BGP, LDP, MSDP, NAMES, Network, Simulation, Violation, configuration, peer

TROUBLE = 1500.0
"""Seconds for which the network misbehaves, routers crash and operators act."""
QUIET = 900.0
"""Seconds of peace after which both sides have to agree: longer than any backoff, liveness check and overlap."""
KEY_LIFETIME = 1200
LEAD = 300
"""Longer than any cut of the network, so that no key ever has to end before it is replaced."""


class Chaos:
    """The plan of one run. Everything follows from ``seed``."""

    def __init__(self, seed: int, *, is_meddling: bool = False) -> None:
        self.seed = seed
        self.is_meddling = is_meddling
        chance = self.chance = random.Random(f"chaos {seed}")
        worst = chance.choice([0.05, 0.2, 1.0, 3.0])
        self.network = Network(
            loss=chance.choice([0.0, 0.1, 0.3]),
            duplication=chance.choice([0.0, 0.1, 0.5]),
            delay=(0.001, worst),
            cuts=[self._cut() for _ in range(chance.choice([0, 0, 1, 3]))],
        )
        self.protocols = chance.choice([(BGP,), (BGP, LDP), (BGP, LDP, MSDP)])
        self.policy = IkePolicy(
            "p",
            lifetime=chance.choice([300, 700, 14400]),
            retain_ike_sa=chance.random() < 0.75,
            liveness_interval=chance.choice([0, 20, 60]),
        )
        self.initiate = chance.choice(
            [
                (Initiate.ON_DEMAND, Initiate.NEVER),
                (Initiate.ON_DEMAND, Initiate.ON_DEMAND),
                (Initiate.IMMEDIATELY, Initiate.IMMEDIATELY),
                (Initiate.NEVER, Initiate.ON_DEMAND),
            ]
        )
        self.overlap = chance.choice([12, 60, 120])
        self.simulation = Simulation(seed, network=self.network, skew=chance.choice([0.0, 3.0]))

    def _cut(self) -> tuple[float, float]:
        start = self.chance.uniform(0, TROUBLE)
        return start, start + self.chance.uniform(5, 90)

    def run(self) -> Simulation:
        """Make trouble, then peace; raise AssertionError when the two do not agree in the end."""
        simulation, chance = self.simulation, self.chance
        names = ["r1", "r2"]
        chance.shuffle(names)
        for number, name in enumerate(names):
            simulation.plan(chance.uniform(0, 2.0) * number, lambda name=name: self._configure(name))  # type: ignore[misc]
        for _ in range(chance.choice([0, 1, 3, 6])):
            router = simulation[chance.choice(names)]
            down, for_seconds = chance.uniform(3, TROUBLE), chance.choice([0.0, 0.5, 20.0])
            simulation.plan(down, router.crash)
            simulation.plan(down + for_seconds, lambda router=router: router.start(simulation.now))  # type: ignore[misc]
        for _ in range(chance.choice([0, 2, 6])):
            moment, protocol = chance.uniform(3, TROUBLE), chance.choice(self.protocols)
            for name in chance.choice([names, names[:1], names[1:]]):
                simulation.plan(
                    moment + chance.choice([0.0, 0.0, 0.005]),
                    lambda name=name, protocol=protocol: self._rekey(name, protocol),  # type: ignore[misc]
                )
        if self.is_meddling:
            simulation.checks_continuity = False
            for _ in range(chance.choice([2, 5, 10])):
                name = chance.choice(names)
                simulation.plan(chance.uniform(3, TROUBLE), lambda name=name: self._meddle(name))  # type: ignore[misc]
            for name in names:
                simulation.plan(TROUBLE - 1, lambda name=name: self._configure(name))  # type: ignore[misc]
        self._let_pass(TROUBLE)
        self.network.loss = self.network.duplication = 0.0
        self.network.cuts.clear()
        self.network.delay = (0.01, 0.02)
        self._let_pass(QUIET)
        # A rollover that happens to be under way has its time.
        agreed = simulation.run_until(lambda: simulation.established() and simulation.agree(), 400.0)
        assert agreed, self.explain("the routers do not agree")
        self._check_bounds()
        return simulation

    def replay(self) -> str:
        """Return how to see this run again."""
        return f"replay it with: python -m tests.engine.chaos {'meddling ' if self.is_meddling else ''}{self.seed}"

    def explain(self, what: str) -> str:
        """Return ``what``, how to see it again, and the key tables."""
        lines = [f"{what}; {self.replay()}"]
        for router in self.simulation.routers.values():
            other = "r2" if router.name == "r1" else "r1"
            snapshot = router.snapshot(other, self.simulation.now)
            lines.append(f"{router.name} {[(a.protocol, a.state.value, a.last_error) for a in snapshot.associations]}")
            lines += [f"  {NAMES[protocol]} {router.fingerprints(other, protocol)}" for protocol in self.protocols]
            lines += [f"  {event}" for event in router.events[-6:]]
        return "\n".join(lines)

    def _let_pass(self, seconds: float) -> None:
        try:
            self.simulation.run(seconds)
        except Violation as violation:
            raise Violation(f"{violation}\n{self.replay()}") from None

    def _configure(self, name: str) -> None:
        self._apply(name, self._wanted(name))

    def _wanted(self, name: str) -> EngineConfiguration:
        other = "r2" if name == "r1" else "r1"
        mode = self.initiate[0 if name == "r1" else 1]
        settings = peer(
            other, self.protocols, initiate=mode, key_lifetime=KEY_LIFETIME, rollover_lead=LEAD, overlap=self.overlap
        )
        return configuration(name, [settings], policy=self.policy)

    def _apply(self, name: str, wanted: EngineConfiguration) -> None:
        router = self.simulation[name]
        if router.is_up:
            self.simulation.configure(name, wanted)
        else:
            router.configuration = wanted

    def _meddle(self, name: str) -> None:
        """Do as operators do, and undo it after a while."""
        other, chance, wanted = "r2" if name == "r1" else "r1", self.chance, self._wanted(name)
        neighbor = wanted.peers[other]
        protocol = chance.choice(self.protocols)
        fewer = {number: a for number, a in neighbor.associations.items() if number != protocol}
        stopped = {**neighbor.associations, protocol: replace(neighbor.associations[protocol], enabled=False)}
        router = self.simulation[name]
        match chance.choice(["clear", "peer", "association", "disabled", "off", "secret", "transforms"]):
            case "clear":
                if router.is_up and other in router.engine._peers:
                    router.engine.clear(other, router.at(self.simulation.now))
            case "peer":
                self._apply(name, replace(wanted, peers={}))
            case "association":
                self._apply(name, replace(wanted, peers={other: replace(neighbor, associations=fewer)}))
            case "disabled":
                self._apply(name, replace(wanted, peers={other: replace(neighbor, associations=stopped)}))
            case "off":
                self._apply(name, replace(wanted, enabled=False))
            case "secret":
                self._apply(name, replace(wanted, pre_shared_keys={"k": Secret(b"not the one that the other has")}))
            case "transforms":
                self._apply(name, replace(wanted, proposals={"ao": ProposalConfiguration("ao", (AES,))}))
        self.simulation.plan(self.simulation.now + chance.uniform(0.01, 90), lambda: self._configure(name))

    def _rekey(self, name: str, protocol: int) -> None:
        router = self.simulation[name]
        if router.is_up:
            try:
                router.engine.rekey("r2" if name == "r1" else "r1", protocol, router.at(self.simulation.now))
            except EngineRefusal:
                # Not configured yet, or not any more.
                assert self.simulation.now < 5 or self.is_meddling

    def _check_bounds(self) -> None:
        """No state is left over: IKE SAs, attempts and keys are what two idle routers need."""
        for router in self.simulation.routers.values():
            statistics = router.engine.statistics()
            assert statistics["ike-sas"] <= 2, self.explain("IKE SAs are left over")
            assert statistics["half-open-ike-sas"] == 0, self.explain("half-open IKE SAs are left over")


def main(arguments: list[str]) -> None:
    is_meddling = arguments[0] == "meddling"
    first, last = int(arguments[is_meddling]), int(arguments[-1])
    failures = 0
    for seed in range(first, last + 1):
        try:
            simulation = Chaos(seed, is_meddling=is_meddling).run()
        except AssertionError as error:
            failures += 1
            print(f"FAIL {seed}: {error}")
        else:
            if first == last:
                for router in simulation.routers.values():
                    print(router.name, *router.events, sep="\n  ")
    print(f"{last - first + 1} seeds, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
