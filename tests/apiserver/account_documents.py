"""Documents that the parser and the API server must judge alike: what is in them, and the verdict.

``field`` is where both must point if they refuse. ``DIFFERENT`` holds what the API server takes in
its own way, and what then stands in the stored object.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

Object = dict[str, Any]

CREDENTIALS = {"credentialsSecretRef": {"name": "kalshi"}}
PROD = {"mode": "prod", "arming": "main", **CREDENTIALS, "risk": {"maxOpenTrades": 1}}
WINDOW = {"startTime": "03:00", "durationMinutes": 120}
CUSTOM = {"configMapRef": {"name": "mine", "key": "mine.py"}, "className": "Mine"}
TAINT = {"key": "dedicated", "value": "recio", "effect": "NoExecute"}


class Case(NamedTuple):
    """A spec, and the field that is refused; no field: it is accepted."""

    name: str
    spec: Any
    field: str = ""


def account(spec: Any, name: str = "main") -> Object:
    """Return a TradingAccount document."""
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }


def fleet(spec: Any, name: str = "default") -> Object:
    """Return a TradingFleet document."""
    return account(spec, name) | {"kind": "TradingFleet"}


def _risk(**limits: Any) -> Object:
    return {"risk": limits}


def _strategy(part: str, **settings: Any) -> Object:
    return {"strategy": {part: settings}}


def _window(**changes: Any) -> Object:
    return {"rollout": {"windows": [WINDOW | changes]}}


def _toleration(**fields: Any) -> Object:
    return {"pod": {"tolerations": [fields]}}


def _resources(**requests: Any) -> Object:
    return {"pod": {"resources": {"requests": requests}}}


def _custom(**changes: Any) -> Object:
    return {"strategy": {"name": "Custom", "custom": CUSTOM | changes}}


ACCEPTED = [
    Case("empty", {}),
    Case("every part empty", {part: {} for part in ("paper", "rollout", "pod", "risk", "strategy")}),
    Case("shadow with credentials", {"mode": "shadow", **CREDENTIALS}),
    Case("demo with credentials", {"mode": "demo", **CREDENTIALS}),
    Case("prod as it should be", PROD),
    Case("prod without arming", {key: value for key, value in PROD.items() if key != "arming"}),
    Case("prod with limits that are the defaults", PROD | {"risk": {}}),
    Case("arming is not read in paper", {"arming": "whatever"}),
    Case("all series", {"series": ["KXBTCD", "KXBTC15M", "KXETHD", "KXETH15M"]}),
    Case("limits at their least", _risk(
        maxContractsPerOrder=1, maxContractsPerEvent=1, maxContractsTotal=1,
        maxCostPerEventDollars=1, maxCostTotalDollars=1, maxOpenTrades=1, maxOrdersPerMinute=1,
        maxDailyLossDollars=1, maxDrawdownDollars=1, minPriceCents=1, maxPriceCents=1,
        maxPriceAgeMilliseconds=500, maxBookAgeMilliseconds=500,
    )),
    Case("limits at their most", _risk(
        maxContractsPerOrder=10_000, maxContractsPerEvent=100_000, maxContractsTotal=100_000,
        maxCostPerEventDollars=1_000_000, maxCostTotalDollars=1_000_000, maxOpenTrades=100,
        maxOrdersPerMinute=300, maxDailyLossDollars=1_000_000, maxDrawdownDollars=1_000_000,
        minPriceCents=99, maxPriceCents=99, maxPriceAgeMilliseconds=15_000,
        maxBookAgeMilliseconds=15_000,
    )),
    Case("an edge below zero", _strategy("autoEntry", minNetEdgeBasisPoints=-1000)),
    Case("no time between the bounds", _strategy(
        "autoEntry", minSecondsToClose=900, maxSecondsToClose=900
    )),
    Case("spike alert that leaves one below", _strategy(
        "spikeAlert", enterBasisPoints=36, leaveBasisPoints=35
    )),
    Case("a strategy of one's own", _custom(parameters={"k": "v", "": ""})),
    Case("a rollout never by force", {"rollout": {"deadlineSeconds": 0, "policy": "Manual"}}),
    Case("eight windows", {"rollout": {"windows": [WINDOW] * 8}}),
    Case("a window of all days", _window(
        days=["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    )),
    Case("a window elsewhere", _window(timeZone="America/Argentina/Buenos_Aires")),
    Case("an image by digest", {"image": f"registry.example:5000/recio@sha256:{'0' * 64}"}),
    Case("a toleration for a while", _toleration(**TAINT, tolerationSeconds=0)),
    Case("a toleration of everything", _toleration(operator="Exists")),
    Case("a toleration of an empty value", _toleration(key="a", value="")),
    Case("quantities", _resources(
        **{"cpu": ".5", "memory": "1.5Gi", "ephemeral-storage": "2e3"}
    )),
    Case("sixteen labels", {"pod": {"nodeSelector": {f"k{n}": "" for n in range(16)}}}),
    Case("a label key as long as may be", {"pod": {"nodeSelector": {f"{'k' * 189}/{'k' * 63}": "v" * 63}}}),
    Case("deletion at the bounds", {"deletionTimeoutSeconds": 3600, "deletionPolicy": "Orphan"}),
]  # fmt: skip

REFUSED = [
    Case("spec is a list", [], "spec"),
    Case("spec is a text", "paper", "spec"),
    Case("a mode that is none", {"mode": "live"}, "spec.mode"),
    Case("a mode in capitals", {"mode": "Paper"}, "spec.mode"),
    Case("paper with credentials", CREDENTIALS, "spec.credentialsSecretRef"),
    Case("shadow without credentials", {"mode": "shadow"}, "spec.credentialsSecretRef"),
    Case("demo without credentials", {"mode": "demo"}, "spec.credentialsSecretRef"),
    Case("credentials without a name", {"mode": "demo", "credentialsSecretRef": {}},
         "spec.credentialsSecretRef.name"),
    Case("credentials of an empty name", {"mode": "demo", "credentialsSecretRef": {"name": ""}},
         "spec.credentialsSecretRef.name"),
    Case("credentials of an impossible name",
         {"mode": "demo", "credentialsSecretRef": {"name": "My_Key"}},
         "spec.credentialsSecretRef.name"),
    Case("prod without limits", {"mode": "prod", **CREDENTIALS}, "spec.risk"),
    Case("prod armed by a wrong name", PROD | {"arming": "other"}, "spec.arming"),
    Case("prod armed by nothing", PROD | {"arming": ""}, "spec.arming"),
    Case("arming too long", {"arming": "a" * 64}, "spec.arming"),
    Case("a balance of nothing", {"paper": {"initialBalanceDollars": 0}},
         "spec.paper.initialBalanceDollars"),
    Case("a source that is none", {"paper": {"source": "Live"}}, "spec.paper.source"),
    Case("no series", {"series": []}, "spec.series"),
    Case("a series twice", {"series": ["KXBTCD", "KXBTCD"]}, "spec.series"),
    Case("a series that is none", {"series": ["KXDOGE"]}, "spec.series[0]"),
    Case("five series", {"series": ["KXBTCD", "KXBTC15M", "KXETHD", "KXETH15M", "KXBTCD"]},
         "spec.series"),
    Case("trading as a bool", {"trading": True}, "spec.trading"),
    Case("suspend as a text", {"suspend": "true"}, "spec.suspend"),
    Case("a topology that is none", {"topology": "Single"}, "spec.topology"),
    Case("a deletion too short", {"deletionTimeoutSeconds": 29}, "spec.deletionTimeoutSeconds"),
    Case("an empty image", {"image": ""}, "spec.image"),
    Case("an image with a space", {"image": "recio: latest"}, "spec.image"),
    Case("an image with a line break", {"image": "recio:1\n"}, "spec.image"),
    Case("an image too long", {"image": "a" * 513}, "spec.image"),
    Case("nine windows", {"rollout": {"windows": [WINDOW] * 9}}, "spec.rollout.windows"),
    Case("a window without an end", {"rollout": {"windows": [{"startTime": "03:00"}]}},
         "spec.rollout.windows[0].durationMinutes"),
    Case("a window at a quarter to", _window(startTime="3:00"),
         "spec.rollout.windows[0].startTime"),
    Case("a window at midnight's end", _window(startTime="24:00"),
         "spec.rollout.windows[0].startTime"),
    Case("a window with a line break", _window(startTime="03:00\n"),
         "spec.rollout.windows[0].startTime"),
    Case("a day twice", _window(days=["Monday", "Monday"]), "spec.rollout.windows[0].days"),
    Case("a zone that cannot be", _window(timeZone="../etc/passwd"),
         "spec.rollout.windows[0].timeZone"),
    Case("a deadline too far", {"rollout": {"deadlineSeconds": 86_401}},
         "spec.rollout.deadlineSeconds"),
    Case("seventeen labels", {"pod": {"nodeSelector": {f"k{n}": "" for n in range(17)}}},
         "spec.pod.nodeSelector"),
    Case("a label key too long", {"pod": {"nodeSelector": {"k" * 254: ""}}},
         "spec.pod.nodeSelector"),
    Case("a label key of two words", {"pod": {"nodeSelector": {"my key": ""}}},
         "spec.pod.nodeSelector"),
    Case("a label of two words", {"pod": {"nodeSelector": {"k": "my node"}}},
         "spec.pod.nodeSelector.k"),
    Case("a toleration of no key at all", _toleration(key=""), "spec.pod.tolerations[0]"),
    Case("a label of a number", {"pod": {"nodeSelector": {"k": 1}}}, "spec.pod.nodeSelector.k"),
    Case("a toleration without a key", _toleration(value="a"), "spec.pod.tolerations[0].operator"),
    Case("a toleration of any value of one", _toleration(key="a", operator="Exists", value="b"),
         "spec.pod.tolerations[0].value"),
    Case("a toleration for a while of what does not evict",
         _toleration(**TAINT | {"effect": "NoSchedule"}, tolerationSeconds=1),
         "spec.pod.tolerations[0].effect"),
    Case("a toleration of no operator", _toleration(key="a", operator="Is"),
         "spec.pod.tolerations[0].operator"),
    Case("a quantity as a number", _resources(cpu=1), "spec.pod.resources.requests.cpu"),
    Case("a quantity of no unit", _resources(memory="1 GB"), "spec.pod.resources.requests.memory"),
    Case("a resource that is none", _resources(mem="1Gi"), "spec.pod.resources.requests"),
    Case("a limit as a bool", _risk(maxOpenTrades=True), "spec.risk.maxOpenTrades"),
    Case("a limit in quotes", _risk(maxOpenTrades="3"), "spec.risk.maxOpenTrades"),
    Case("a limit with a fraction", _risk(maxOpenTrades=2.5), "spec.risk.maxOpenTrades"),
    Case("no open trade", _risk(maxOpenTrades=0), "spec.risk.maxOpenTrades"),
    Case("a limit beyond 64 bits", _risk(maxOpenTrades=2**70), "spec.risk.maxOpenTrades"),
    Case("an order above its event", _risk(maxContractsPerOrder=60),
         "spec.risk.maxContractsPerOrder"),
    Case("an event above the total", _risk(maxContractsPerEvent=101),
         "spec.risk.maxContractsPerEvent"),
    Case("an event's cost above the total", _risk(maxCostPerEventDollars=101),
         "spec.risk.maxCostPerEventDollars"),
    Case("a total below the event's default", _risk(maxCostTotalDollars=49),
         "spec.risk.maxCostPerEventDollars"),
    Case("a price band upside down", _risk(minPriceCents=60, maxPriceCents=59),
         "spec.risk.minPriceCents"),
    Case("a price of a dollar", _risk(maxPriceCents=100), "spec.risk.maxPriceCents"),
    Case("a breach that does nothing", _risk(onBreach="Active"), "spec.risk.onBreach"),
    Case("an entry window upside down", _strategy("autoEntry", minSecondsToClose=901),
         "spec.strategy.autoEntry.minSecondsToClose"),
    Case("an edge beyond its bound", _strategy("autoEntry", minNetEdgeBasisPoints=-1001),
         "spec.strategy.autoEntry.minNetEdgeBasisPoints"),
    Case("a certainty", _strategy("autoEntry", minProbabilityPermille=1000),
         "spec.strategy.autoEntry.minProbabilityPermille"),
    Case("a spike that never leaves", _strategy("spikeAlert", leaveBasisPoints=36),
         "spec.strategy.spikeAlert.leaveBasisPoints"),
    Case("a spike below its default leave", _strategy("spikeAlert", enterBasisPoints=30),
         "spec.strategy.spikeAlert.leaveBasisPoints"),
    Case("more than a quarter of Kelly", _strategy("sizing", kellyPermille=251),
         "spec.strategy.sizing.kellyPermille"),
    Case("a strategy of one's own without one", {"strategy": {"name": "Custom"}},
         "spec.strategy.custom"),
    Case("a built-in strategy with one's own", {"strategy": {"custom": CUSTOM}},
         "spec.strategy.custom"),
    Case("a class that is none", _custom(className="my class"), "spec.strategy.custom.className"),
    Case("a source without a key", _custom(configMapRef={"name": "mine"}),
         "spec.strategy.custom.configMapRef.key"),
    Case("too many parameters", _custom(parameters={f"p{n}": "" for n in range(33)}),
         "spec.strategy.custom.parameters"),
    Case("a parameter that is long", _custom(parameters={"p": "v" * 254}),
         "spec.strategy.custom.parameters.p"),
    Case("a parameter of a number", _custom(parameters={"p": 1}),
         "spec.strategy.custom.parameters.p"),
]  # fmt: skip

UNKNOWN_FIELDS = [
    Case("of the spec", {"nonsense": 1}, "spec.nonsense"),
    Case("of a part", {"risk": {"maxOpentrades": 3}}, "spec.risk.maxOpentrades"),
    Case("of a list's entry", _window(until="05:00"), "spec.rollout.windows[0].until"),
    Case("that a newer version may have", {"strategy": {"sizing": {"kelly": 1}}},
         "spec.strategy.sizing.kelly"),
]  # fmt: skip

NAMES = {
    "a": True,
    "a" * 32: True,
    "a" * 33: False,
    "0-main": True,
    "main-": False,
    "-main": False,
    "Main": False,
    "my.main": False,
    "my_main": False,
}

DIFFERENT = [
    Case("null where there is a default", {"mode": None, "risk": {"maxOpenTrades": None}}),
    Case("null where there is none", {"arming": None, "image": None, "strategy": {"custom": None}}),
    Case("a whole number with a point", {"risk": {"maxOpenTrades": 3.0}}),
]
"""The API server drops null and stores 3; the parser of a file refuses both."""

FLEETS = [
    Case("empty", {}),
    Case("a switch", {"trading": "Halted"}),
    Case("all limits", {"risk": {
        "maxCostTotalDollars": 1_000_000, "maxDailyLossDollars": 1, "maxOpenTrades": 100,
        "maxOrdersPerMinute": 300,
    }}),
    Case("a switch that is none", {"trading": "Off"}, "spec.trading"),
    Case("no open trade", {"risk": {"maxOpenTrades": 0}}, "spec.risk.maxOpenTrades"),
    Case("a limit in quotes", {"risk": {"maxDailyLossDollars": "5"}},
         "spec.risk.maxDailyLossDollars"),
    Case("too many orders", {"risk": {"maxOrdersPerMinute": 301}}, "spec.risk.maxOrdersPerMinute"),
]  # fmt: skip
