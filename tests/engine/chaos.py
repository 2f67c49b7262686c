"""One run of two routers under everything that may go wrong, decided by a seed alone.

``python -m tests.engine.chaos --seeds 10000`` runs seeds from 0, or from ``--first``, on and prints a summary,
``python -m tests.engine.chaos --seed 7`` replays one and prints what happened.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import replace

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS, HYBRID_IKE_PROPOSALS, IkeProposal
from rkmp.engine import (
    AssociationState,
    AtExpiry,
    AuthenticationFailure,
    Childless,
    EngineConfiguration,
    IkePolicy,
    IkeSaReplaced,
    Initiate,
    Listener,
    NatPolicy,
    NegotiationFailure,
    ProposalConfiguration,
    RequestCompleted,
    RolloverCompleted,
)
from rkmp.errors import EngineRefusal
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.secret import Secret
from rkmp.wire import LdpAuthAlg
from tests.engine.census import at_rest, leaks
from tests.engine.chaos_kinds import EXPIRY_POLICIES, KEY_LIFETIME, KINDS, LEAD, SHORT_LEAD, SHORT_LIFE, WAYS, Kind
from tests.engine.network import Cut, Network, Translator
from tests.engine.simulation import (
    AES,
    BGP,
    HELLOS,
    LDP,
    LISTENER,
    MSDP,
    NAMES,
    SHA1,
    Simulation,
    Violation,
    address_of,
    configuration,
    peer,
)

TROUBLE = 1500.0
"""Seconds for which the network misbehaves, routers crash and operators act."""
QUIET = 900.0
"""Seconds of peace after which both sides have to agree: longer than any backoff, liveness check and overlap."""
REST = 400.0
"""Seconds in which a rollover, a rekeying or a liveness check that happens to be under way comes to its end."""
INSIDE = "10.0.0.1"
HOLDS_KEY = (AssociationState.ESTABLISHED, AssociationState.ROLLING_OVER)
WEAKER = (IkeProposal(encryption=((12, 128),), integrity=(12,), prf=(5,), key_exchange=(19,)),)


class Chaos:
    """The plan of one run. Everything follows from ``seed``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.kind = KINDS[seed % len(KINDS)]
        chance = self.chance = random.Random(f"chaos {seed}")
        worst = chance.choice([0.05, 0.2, 1.0, 3.0])
        self.network = Network(
            loss=chance.choice([0.0, 0.1, 0.3]),
            duplication=chance.choice([0.0, 0.1, 0.5]),
            delay=(0.001, worst),
            cuts=self._cuts(chance.choice([0, 0, 1, 3])),
            translator=Translator(INSIDE, address_of("r1")) if self.kind is Kind.TRANSLATED else None,
        )
        self.protocols = chance.choice([(BGP,), (BGP, LDP), (BGP, LDP, MSDP), (LDP, LDP_DISCOVERY)])
        self.policies = self._policies()
        self.initiate = chance.choice(
            [
                (Initiate.ON_DEMAND, Initiate.NEVER),
                (Initiate.ON_DEMAND, Initiate.ON_DEMAND),
                (Initiate.IMMEDIATELY, Initiate.IMMEDIATELY),
                (Initiate.NEVER, Initiate.ON_DEMAND),
            ]
        )
        if self.kind is Kind.TRANSLATED:
            # Nobody opens to somebody behind a translator.
            self.initiate = (chance.choice([Initiate.ON_DEMAND, Initiate.IMMEDIATELY]), Initiate.NEVER)
        elif self.kind is Kind.HOPELESS:
            self.initiate = (Initiate.ON_DEMAND, Initiate.ON_DEMAND)
        self.misfit = chance.choice(["secret", "suites", "transforms", "identity"])
        self.perfect_forward_secrecy = chance.random() < 0.3
        self.overlap = chance.choice([12, 60, 120])
        self.simulation = Simulation(seed, network=self.network, skew=chance.choice([0.0, 3.0, 300.0]))
        if self.kind is Kind.TRANSLATED:
            self.simulation["r1"].addresses = {INSIDE}
        self.at_expiry: list[tuple[AtExpiry, int | None]] = [chance.choice(EXPIRY_POLICIES) for _ in range(2)]
        self.lifetime, self.lead = KEY_LIFETIME, LEAD
        if self.kind is Kind.CUT_OFF:
            self._cut_off()

    def _cut_off(self) -> None:
        """Cut the network for longer than a key lives; where both sides extend keys without an end nothing drops."""
        chance = self.chance
        self.lifetime, self.lead, self.overlap = SHORT_LIFE, SHORT_LEAD, chance.choice([12, 30, 60])
        begins, way = chance.uniform(20, 2 * SHORT_LIFE), chance.choice(WAYS)
        self.network.cuts = [(begins, begins + chance.uniform(SHORT_LIFE, 4 * SHORT_LIFE), *way)]
        if chance.random() < 0.7:
            self.at_expiry = [(AtExpiry.EXTEND, None)] * 2
        else:
            self.at_expiry[chance.randrange(2)] = AtExpiry.EXTEND, None
            self.simulation.lets_keys_end = True

    def _policies(self) -> dict[str, IkePolicy]:
        """Return the IKE policy of each side: lifetimes and patience are its own, suites and NAT are not."""
        chance = self.chance
        proposals = chance.choice([DEFAULT_IKE_PROPOSALS, DEFAULT_IKE_PROPOSALS, HYBRID_IKE_PROPOSALS])
        retain = chance.random() < 0.75
        return {
            name: IkePolicy(
                "p",
                proposals=proposals,
                lifetime=chance.choice([300, 310, 700, 14400]),
                retain_ike_sa=retain or chance.random() < 0.2,
                liveness_interval=chance.choice([0, 20, 60]),
                childless=chance.choice([Childless.ALLOW, Childless.ALLOW, Childless.FORCE]),
                nat=NatPolicy.ALLOW if self.kind is Kind.TRANSLATED else NatPolicy.REFUSE,
            )
            for name in ("r1", "r2")
        }

    def _cuts(self, number: int) -> list[Cut]:
        """Return times without a network; between two of them there is one for as long as a rollover may take."""
        cuts: list[Cut] = []
        drawn = [(self.chance.uniform(0, TROUBLE), self.chance.uniform(5, 90)) for _ in range(number)]
        for start, length in sorted(drawn):
            if not cuts or start > cuts[-1][1] + LEAD:
                cuts.append((start, start + length))
        return cuts

    # -- the run -------------------------------------------------------------------------------------------------

    def run(self) -> Simulation:
        """Make trouble, then peace; raise AssertionError when the end is not what it has to be."""
        self._plan()
        self._let_pass(TROUBLE)
        for router in self.simulation.routers.values():
            found = leaks(router) if router.is_up else []
            assert not found, self.explain("; ".join(found))
        self.network.loss = self.network.duplication = 0.0
        self.network.cuts.clear()
        self.network.delay = (0.01, 0.02)
        self._let_pass(QUIET)
        if self.kind is Kind.HOPELESS:
            self._check_failures()
        else:
            agreed = self.simulation.run_until(lambda: self.simulation.established() and self.simulation.agree(), REST)
            assert agreed, self.explain("the routers do not agree")
            self._check_keys()
        # Nothing but what serves is held, as soon as nothing happens to be under way.
        rested = self.simulation.run_until(lambda: not self._unrest(), REST)
        assert rested, self.explain("; ".join(self._unrest()))
        self._check_bounds()
        return self.simulation

    def _plan(self) -> None:
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
        for _ in range(chance.choice([0, 2, 6])):
            moment = chance.uniform(3, TROUBLE)
            for name in chance.choice([names, names, names[:1], names[1:]]):
                simulation.plan(
                    moment + chance.choice([0.0, 0.0, 0.005]),
                    lambda name=name: simulation[name].rekey_ike_sas(simulation.now),  # type: ignore[misc]
                )
        if self.kind is Kind.MEDDLING:
            simulation.checks_continuity = False
            for _ in range(chance.choice([2, 5, 10])):
                name = chance.choice(names)
                simulation.plan(chance.uniform(3, TROUBLE), lambda name=name: self._meddle(name))  # type: ignore[misc]
            for name in names:
                simulation.plan(TROUBLE - 1, lambda name=name: self._configure(name))  # type: ignore[misc]

    def _let_pass(self, seconds: float) -> None:
        try:
            self.simulation.run(seconds)
        except Violation as violation:
            raise Violation(f"{violation}\n{self.replay()}") from None

    # -- what is told of it --------------------------------------------------------------------------------------

    def replay(self) -> str:
        """Return how to see this run again."""
        return f"replay it with: python -m tests.engine.chaos --seed {self.seed}"

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

    # -- what is done to the routers -----------------------------------------------------------------------------

    def _configure(self, name: str) -> None:
        self._apply(name, self._wanted(name))

    def _wanted(self, name: str) -> EngineConfiguration:
        other = "r2" if name == "r1" else "r1"
        settings = peer(
            other,
            self.protocols,
            initiate=self.initiate[0 if name == "r1" else 1],
            key_lifetime=self.lifetime,
            rollover_lead=self.lead,
            overlap=self.overlap,
            at_expiry=self.at_expiry[0 if name == "r1" else 1][0],
            longest_extension=self.at_expiry[0 if name == "r1" else 1][1],
            perfect_forward_secrecy=self.perfect_forward_secrecy,
        )
        wanted = configuration(name, [settings], policy=self.policies[name])
        if self.kind is Kind.TRANSLATED and name == "r1":
            wanted = replace(wanted, listeners={LISTENER: Listener(LISTENER, INSIDE)})
        return self._misfitting(wanted) if self.kind is Kind.HOPELESS and name == "r2" else wanted

    def _misfitting(self, wanted: EngineConfiguration) -> EngineConfiguration:
        """Return a configuration by which r2 never comes to terms with r1."""
        match self.misfit:
            case "secret":
                return replace(wanted, pre_shared_keys={"k": Secret(b"not the one that the other has")})
            case "suites":
                return replace(wanted, ike_policies={"p": replace(wanted.ike_policies["p"], proposals=WEAKER)})
            case "identity":
                return replace(wanted, local_identity=None)
            case _:
                ignoring = ProposalConfiguration(
                    "ao", tuple(replace(each, ignore_tcp_options=True) for each in (SHA1, AES))
                )
                hellos = replace(HELLOS, transforms=(replace(HELLOS.transforms[0], auth_alg=LdpAuthAlg.HMAC_SHA_1),))
                return replace(wanted, proposals={"ao": ignoring, "hellos": hellos})

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
                fewer_transforms = {
                    name: replace(each, transforms=each.transforms[1:]) for name, each in wanted.proposals.items()
                }
                self._apply(name, replace(wanted, proposals=fewer_transforms))
        self.simulation.plan(self.simulation.now + chance.uniform(0.01, 90), lambda: self._configure(name))

    def _rekey(self, name: str, protocol: int) -> None:
        router = self.simulation[name]
        if router.is_up:
            try:
                request = router.engine.rekey("r2" if name == "r1" else "r1", protocol, router.at(self.simulation.now))
            except EngineRefusal:
                # Not configured yet, or not any more.
                assert self.simulation.now < 5 or self.kind is Kind.MEDDLING
            else:
                router.requests.add(request)

    # -- what has to be so in the end ----------------------------------------------------------------------------

    def _check_keys(self) -> None:
        """One key is sent with for each association, at either end."""
        for router in self.simulation.routers.values():
            for protocol in self.protocols:
                sent_with = router.sent_with("r2" if router.name == "r1" else "r1", protocol, self.simulation.now)
                assert len(sent_with) == 1, self.explain(f"{len(sent_with)} keys for {NAMES[protocol]} are sent with")

    def _check_failures(self) -> None:
        """Neither side has a key, and each has reported why.

        Where only one of them rejects the other, who has agreed may not hear of it when messages are lost; then it has
        a key to the end of its lifetime that nobody else has.
        """
        routers = self.simulation.routers.values()
        is_over = self.simulation.run_until(lambda: not any(each.key_table.rows() for each in routers), KEY_LIFETIME)
        assert is_over, self.explain("there are keys that cannot be")
        for router in routers:
            other = "r2" if router.name == "r1" else "r1"
            reports = [*router.happened(NegotiationFailure), *router.happened(AuthenticationFailure)]
            assert reports, self.explain(f"{router.name} has reported nothing")
            for association in router.snapshot(other, self.simulation.now).associations:
                assert association.last_error, self.explain(f"{router.name} shows no reason")
                assert association.state not in HOLDS_KEY, self.explain(f"{router.name} is {association.state.value}")

    def _unrest(self) -> list[str]:
        return [what for router in self.simulation.routers.values() for what in at_rest(router)]

    def _check_bounds(self) -> None:
        """No state is left over: IKE SAs are what two idle routers need, and everybody who has asked has an answer."""
        for router in self.simulation.routers.values():
            statistics = router.engine.statistics()
            assert statistics["ike-sas"] <= 2, self.explain("IKE SAs are left over")
            assert statistics["half-open-ike-sas"] == 0, self.explain("half-open IKE SAs are left over")
            answered = {event.request for event in router.happened(RequestCompleted)}  # type: ignore[attr-defined]
            assert router.requests <= answered, self.explain(f"{router.name} has left a request without an answer")


def main(arguments: list[str]) -> None:
    """Run what the command line asks for; exit with 1 where a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.chaos", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="replay one seed and print what happened")
    which.add_argument("--seeds", type=int, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        simulation = Chaos(options.seed).run()
        for router in simulation.routers.values():
            print(router.name, *router.events, sep="\n  ")
        return
    began, failed = time.monotonic(), []
    kinds, totals = Counter[Kind](), Counter[str]()
    try:
        for seed in range(options.first, options.first + options.seeds):
            chaos = Chaos(seed)
            try:
                chaos.run()
            except Exception as error:  # noqa: BLE001 - a crash is a failure like any other, and the other seeds go on
                failed.append(seed)
                print(f"FAIL {seed} ({chaos.kind.name.lower()}): {type(error).__name__}: {error}", flush=True)
            kinds[chaos.kind] += 1
            totals += summary(chaos.simulation)
    except KeyboardInterrupt:
        print("interrupted")
    print(f"{kinds.total()} seeds from {options.first} on in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    print("  ".join(f"{kind.name.lower()}: {count}" for kind, count in kinds.items()))
    print("  ".join(f"{what}: {count}" for what, count in totals.items()))
    sys.exit(bool(failed) or kinds.total() < options.seeds)


def summary(simulation: Simulation) -> Counter[str]:
    """Return how much has happened in a run."""
    routers = simulation.routers.values()
    return Counter(
        {
            "datagrams": simulation.sent,
            "rollovers": sum(len(router.happened(RolloverCompleted)) for router in routers),
            "IKE SAs rekeyed": sum(len(router.happened(IkeSaReplaced)) for router in routers),
            "failures reported": sum(len(router.happened(NegotiationFailure)) for router in routers),
        }
    )


if __name__ == "__main__":
    main(sys.argv[1:])
