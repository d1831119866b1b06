"""Who may ask: keys, signatures, clocks, scopes."""

from __future__ import annotations

import pytest
from tests.contract.listing import EVENT, LOW, NOW_US, QUARTER
from tests.contract.members import BASE_PATH, Key
from tests.contract.scene import BID, ORDERS, Scene, rsa_pems
from tests.contract.suite import KEYS, NO_ED25519, OBSERVED, OPENAPI, case

from recio.adapters.kalshi.errors import KalshiRejected

UNSIGNED = "authentication_error"


@case(2, KEYS)
async def rsa_is_accepted(scene: Scene) -> None:
    """A request signed with RSA-PSS is answered."""
    alice = await scene.member(dollars="123.45")
    assert (await alice.rest.balance()).cash_usd_e6 == 123_450_000


@case(3, KEYS, only_ours=NO_ED25519)
async def ed25519_is_accepted(scene: Scene) -> None:
    """A request signed with Ed25519 is answered."""
    alice = await scene.join(await scene.account("alice", key_type="ed25519"))
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000
    assert (await scene.place(alice, BID, 5000, 1_00)).remaining_qty_e2 == 1_00


@case(4, KEYS)
async def generated_key_works(scene: Scene) -> None:
    """A key that the exchange generates comes as PKCS#1 and works."""
    key = await scene.account("alice", key_type="rsa")
    assert key.pem.startswith("-----BEGIN RSA PRIVATE KEY-----")
    alice = await scene.join(key)
    assert (await alice.rest.balance()).cash_usd_e6 == 1_000_000_000


@case(5, OBSERVED)
async def wrong_signature(scene: Scene) -> None:
    """A signature by another key is refused with 401."""
    key = await scene.account("alice")
    mallory = await scene.join(Key(key.key_id, rsa_pems(0)[0]))
    with pytest.raises(KalshiRejected) as refused:
        await mallory.rest.balance()
    assert (refused.value.status, refused.value.code) == (401, UNSIGNED)
    assert refused.value.details == "INCORRECT_API_KEY_SIGNATURE"


@case(6, OBSERVED)
async def unknown_key(scene: Scene) -> None:
    """An unknown key is refused with 401."""
    stranger = await scene.join(Key("00000000-0000-0000-0000-000000000000", rsa_pems(0)[0]))
    with pytest.raises(KalshiRejected) as refused:
        await stranger.rest.balance()
    assert (refused.value.status, refused.value.code) == (401, UNSIGNED)


@case(7, OBSERVED)
async def small_skew(scene: Scene) -> None:
    """A clock that is three seconds off is accepted."""
    key = await scene.account("alice")
    for skew_ms in (-3_000, 3_000):
        member = await scene.join(key, skew_ms=skew_ms)
        assert (await member.rest.balance()).cash_usd_e6 == 1_000_000_000


@case(8, OBSERVED)
async def large_skew(scene: Scene) -> None:
    """A clock that is 30 seconds or five minutes off is refused with 401."""
    key = await scene.account("alice")
    for skew_ms in (-300_000, -30_000, 30_000, 300_000):
        member = await scene.join(key, skew_ms=skew_ms)
        with pytest.raises(KalshiRejected) as refused:
            await member.rest.balance()
        assert (refused.value.status, refused.value.code) == (401, UNSIGNED)


@case(9, KEYS)
async def private_needs_a_key(scene: Scene) -> None:
    """Private endpoints refuse a visitor without a key with 401."""
    visitor = await scene.join(None)
    for read in (visitor.rest.balance, visitor.rest.positions, visitor.rest.orders):
        with pytest.raises(KalshiRejected) as refused:
            await read()
        assert refused.value.status == 401


@case(10, KEYS)
async def public_needs_no_key(scene: Scene) -> None:
    """Public endpoints answer a visitor without a key."""
    rest = (await scene.join(None)).rest
    assert (await rest.status()).is_trading_active
    assert (await rest.schedule()).maintenance
    assert (await rest.series("KXBTCD")).ticker == "KXBTCD"
    assert len(await rest.events("KXBTCD")) == 1
    assert len(await rest.markets(event_ticker=EVENT)) == 2
    assert (await rest.market(LOW)).ticker == LOW
    assert (await rest.orderbook(LOW)).ticker == LOW
    assert len(await rest.orderbooks([LOW, QUARTER])) == 2
    assert await rest.trades(LOW) == ()
    assert await rest.candlesticks("KXBTCD", LOW, NOW_US - 60_000_000, NOW_US) == ()
    assert (await rest.historical_cutoff()).trades_created_us < NOW_US
    assert (await rest.endpoint_costs()).default_cost == 10


@case(11, KEYS)
async def query_is_not_signed(scene: Scene) -> None:
    """The query is not part of the signed text."""
    alice = await scene.member()
    headers = await alice.sign("GET", f"{BASE_PATH}/portfolio/orders")
    for query in ("", "?limit=5", "?limit=7&status=resting"):
        target = f"{BASE_PATH}/portfolio/orders{query}"
        assert (await scene.http("GET", target, headers=headers)).status == 200


@case(12, KEYS)
async def method_and_path_are_signed(scene: Scene) -> None:
    """Method and path from the root are part of the signed text."""
    alice = await scene.member()
    target = f"{BASE_PATH}/portfolio/balance"
    for method, path in (
        ("POST", target),
        ("GET", "/portfolio/balance"),
        ("GET", f"{BASE_PATH}/portfolio/orders"),
    ):
        headers = await alice.sign(method, path)
        assert (await scene.http("GET", target, headers=headers)).status == 401


@case(13, OPENAPI)
async def scopes(scene: Scene) -> None:
    """A key without the scope is refused with 403; with it, it is not."""
    alice = await scene.member()
    answer = await alice.raw("POST", "/api_keys/generate", {"name": "reader", "scopes": ["read"]})
    assert answer.status == 201
    reader = await scene.join(Key(answer.body["api_key_id"], answer.body["private_key"]))
    assert (await reader.rest.balance()).cash_usd_e6 == 1_000_000_000
    with pytest.raises(KalshiRejected) as refused:
        await scene.place(reader, BID, 5000, 1_00)
    assert refused.value.status == 403
    assert (await alice.rest.orders()) == ()


@case(14, OPENAPI)
async def narrow_scope(scene: Scene) -> None:
    """A key for the balance alone reads only that."""
    alice = await scene.member()
    wanted = {"name": "balance", "scopes": ["read::portfolio_balance"]}
    answer = await alice.raw("POST", "/api_keys/generate", wanted)
    watcher = await scene.join(Key(answer.body["api_key_id"], answer.body["private_key"]))
    assert (await watcher.rest.balance()).cash_usd_e6 == 1_000_000_000
    with pytest.raises(KalshiRejected) as refused:
        await watcher.rest.positions()
    assert refused.value.status == 403


@case(15, OPENAPI)
async def write_needs_read(scene: Scene) -> None:
    """Scope write needs scope read."""
    alice = await scene.member()
    answer = await alice.raw("POST", "/api_keys/generate", {"name": "x", "scopes": ["write"]})
    assert answer.status == 400


@case(16, OPENAPI)
async def keys_come_and_go(scene: Scene) -> None:
    """Keys are listed with their scopes, and a deleted key no longer works."""
    alice = await scene.member()
    answer = await alice.raw("POST", "/api_keys/generate", {"name": "spare"})
    spare = Key(answer.body["api_key_id"], answer.body["private_key"])
    listed = {one.key_id: one for one in await alice.rest.api_keys()}
    assert listed[spare.key_id].name == "spare"
    assert listed[spare.key_id].scopes == ("read", "write")
    assert (await alice.raw("DELETE", f"/api_keys/{spare.key_id}")).status == 204
    member = await scene.join(spare)
    with pytest.raises(KalshiRejected) as refused:
        await member.rest.balance()
    assert refused.value.status == 401


@case(17, OPENAPI)
async def members_are_apart(scene: Scene) -> None:
    """Nobody reads or changes what belongs to another member."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    made = await scene.place(alice, BID, 5000, 1_00)
    assert await bob.rest.orders() == ()
    with pytest.raises(KalshiRejected) as refused:
        await bob.rest.order(made.order_id)
    assert refused.value.status == 404
    answer = await bob.raw("DELETE", f"{ORDERS}/{made.order_id}?exchange_index=2")
    assert answer.status == 404
    assert (await alice.rest.order(made.order_id)).status == "resting"
