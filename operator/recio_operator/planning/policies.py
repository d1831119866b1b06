"""Network policies of account pods: what they may reach, and who may reach them.

Out: names, PostgreSQL by both its doors, Redis if a service reads the bus, and the exchange: of a
paper account the simulator's pods and nothing outside, of the others the exchange's addresses on 443
without private ranges. In: the release's own clients and, if told, a namespace that reads metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from recio_operator.planning.observed import Object
from recio_operator.release import HTTP_PORT, Database, Environment, Network, Release

HTTPS_PORT: Final = 443
_DNS_PORT: Final = 53


def network_policy_spec(
    selector: Mapping[str, str], environment: Environment, release: Release, *, uses_bus: bool
) -> Object:
    """Return the ``spec`` of the policy of the pods that ``selector`` chooses."""
    rules = [_to_dns(release.network), *_to_database(release.database)]
    if uses_bus:
        redis = release.redis
        rules.append(_to(redis.pod_labels, redis.cidrs, redis.port))
    rules.append(_to_exchange(environment, release.network))
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": _ingress(release.network),
        "egress": _once(rules),
    }


def _ingress(network: Network) -> list[Object]:
    peers: list[Object] = [{"podSelector": {"matchLabels": labels}} for labels in network.clients]
    if network.metrics_namespace_labels:
        peers.append({"namespaceSelector": {"matchLabels": network.metrics_namespace_labels}})
    return [{"from": peers, "ports": _ports(HTTP_PORT)}] if peers else []


def _to_dns(network: Network) -> Object:
    peer = {
        "namespaceSelector": {"matchLabels": network.dns_namespace_labels},
        "podSelector": {"matchLabels": network.dns_pod_labels},
    }
    return {"to": [peer], "ports": _ports(_DNS_PORT, "UDP") + _ports(_DNS_PORT)}


def _to_database(database: Database) -> Iterable[Object]:
    yield _to(database.pod_labels, database.cidrs, database.port)
    yield _to(database.direct_pod_labels, database.cidrs, database.direct_port)


def _to_exchange(environment: Environment, network: Network) -> Object:
    if environment.exchange is not None:
        return _to(environment.exchange.pod_labels, (), HTTP_PORT)
    peers = [_block(cidr, network.except_cidrs) for cidr in network.exchange_cidrs]
    return {"to": peers, "ports": _ports(HTTPS_PORT)}


def _to(pod_labels: Mapping[str, str], cidrs: Iterable[str], port: int) -> Object:
    """One rule; without labels and addresses the port alone is known, so any host on it."""
    peers: list[Object] = [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
    if pod_labels:
        peers = [{"podSelector": {"matchLabels": dict(pod_labels)}}]
    return ({"to": peers} if peers else {}) | {"ports": _ports(port)}


def _block(cidr: str, except_cidrs: Iterable[str]) -> Object:
    """An exception outside of its block is refused by the API server, so only those within."""
    within = [inner for inner in except_cidrs if _is_within(inner, cidr)]
    block: Object = {"cidr": cidr}
    if within:
        block["except"] = within
    return {"ipBlock": block}


def _is_within(inner: str, outer: str) -> bool:
    small, large = ip_network(inner, strict=False), ip_network(outer, strict=False)
    if isinstance(small, IPv4Network):
        return isinstance(large, IPv4Network) and small.subnet_of(large) and small != large
    return not isinstance(large, IPv4Network) and small.subnet_of(large) and small != large


def _ports(port: int, protocol: str = "TCP") -> list[Object]:
    return [{"protocol": protocol, "port": port}]


def _once(rules: list[Object]) -> list[Any]:
    return [rule for index, rule in enumerate(rules) if rule not in rules[:index]]
