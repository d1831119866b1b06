"""The WebSocket's protocol, frame by frame: commands, acknowledgements, numbering, errors.

The official client has no WebSocket of its own: its signing opens one of the package ``ws``.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.listing import HIGH, LOW
from tests.contract.members import Commands, Key
from tests.contract.scene import BID, Scene, rsa_pems
from tests.contract.suite import ASYNCAPI, KEYS, STREAMS, case

from recio.domain.errors import Rejected


async def opened(scene: Scene) -> Commands:
    """Open alice's WebSocket."""
    return await scene.commands(await scene.member())


async def book(commands: Commands, *tickers: str, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    """Subscribe to books; return the sid and the first snapshots."""
    params = {"channels": ["orderbook_delta"], "market_tickers": list(tickers)}
    answer = await commands.ask("subscribe", {"use_yes_price": False} | params | more)
    assert answer["type"] == "subscribed", answer
    return answer["msg"]["sid"], await commands.frames(len(tickers))


@case(230, STREAMS)
async def unsigned_upgrade(scene: Scene) -> None:
    """An upgrade without a signature is refused with 401, public channels or not."""
    alice = await scene.member()
    with pytest.raises(Rejected, match="401"):
        await alice.socket(is_signed=False)


@case(231, KEYS)
async def wrongly_signed_upgrade(scene: Scene) -> None:
    """An upgrade with a wrong signature or a wrong clock is refused with 401."""
    key = await scene.account("alice")
    mallory = await scene.join(Key(key.key_id, rsa_pems(0)[0]))
    with pytest.raises(Rejected, match="401"):
        await mallory.socket()
    late = await scene.join(key, skew_ms=-60_000)
    with pytest.raises(Rejected, match="401"):
        await late.socket()


@case(232, ASYNCAPI)
async def snapshot_and_deltas(scene: Scene) -> None:
    """A book begins with a snapshot and goes on with deltas, numbered without a hole."""
    await scene.offer("yes", 5400, 10_00)
    await scene.offer("yes", 5300, 2_50)
    await scene.offer("no", 4400, 7_00)
    commands = await opened(scene)
    sid, (snapshot,) = await book(commands, LOW)
    assert (snapshot["type"], snapshot["sid"], snapshot["seq"]) == ("orderbook_snapshot", sid, 1)
    assert snapshot["msg"]["market_ticker"] == LOW
    assert snapshot["msg"]["yes_dollars_fp"] == [["0.5300", "2.50"], ["0.5400", "10.00"]]
    assert snapshot["msg"]["no_dollars_fp"] == [["0.4400", "7.00"]]
    await scene.offer("yes", 5400, 4_00)
    await scene.offer("no", 4300, 1_00)
    first, second = await commands.frames(2)
    assert (first["type"], first["sid"], first["seq"]) == ("orderbook_delta", sid, 2)
    wanted = {"price_dollars": "0.5400", "delta_fp": "-6.00", "side": "yes"}
    assert first["msg"].items() >= wanted.items()
    assert first["msg"]["market_id"] == snapshot["msg"]["market_id"]
    assert first["msg"]["ts_ms"] == scene.now_us // 1000
    wanted = {"price_dollars": "0.4300", "delta_fp": "1.00", "side": "no"}
    assert (second["seq"], second["msg"].items() >= wanted.items()) == (3, True)


@case(233, ASYNCAPI)
async def empty_sides(scene: Scene) -> None:
    """A side without levels has no key in the snapshot."""
    await scene.offer("yes", 5400, 10_00)
    commands = await opened(scene)
    _, (low, high) = await book(commands, LOW, HIGH)
    assert "no_dollars_fp" not in low["msg"]
    assert not {"yes_dollars_fp", "no_dollars_fp"} & set(high["msg"])
    assert (low["seq"], high["seq"]) == (1, 2)


@case(234, ASYNCAPI)
async def yes_prices(scene: Scene) -> None:
    """With use_yes_price the NO side is priced on the YES scale, without it on its own."""
    await scene.offer("no", 4400, 7_00)
    for is_yes, snapshot_price, delta_price in (
        (True, "0.5600", "0.5700"),
        (False, "0.4400", "0.4300"),
    ):
        commands = await opened(scene)
        _, (snapshot,) = await book(commands, LOW, use_yes_price=is_yes)
        assert snapshot["msg"]["no_dollars_fp"] == [[snapshot_price, "7.00"]]
        await scene.offer("no", 4300, 1_00)
        delta = await commands.frame()
        assert (delta["msg"]["price_dollars"], delta["msg"]["side"]) == (delta_price, "no")
        await scene.offer("no", 4300, 0)


@case(235, ASYNCAPI)
async def own_deltas(scene: Scene) -> None:
    """A delta caused by our own order names it, to us only."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    mine, theirs = await scene.commands(alice), await scene.commands(bob)
    await book(mine, LOW)
    await book(theirs, LOW)
    await scene.place(alice, BID, 5000, 1_00, client_order_id="secret")
    assert (await mine.frame())["msg"]["client_order_id"] == "secret"
    assert not {"client_order_id", "subaccount"} & set((await theirs.frame())["msg"])


@case(236, ASYNCAPI)
async def snapshot_on_request(scene: Scene) -> None:
    """get_snapshot sends the book again, with the command's id and the next number."""
    await scene.offer("yes", 5400, 10_00)
    commands = await opened(scene)
    sid, _ = await book(commands, LOW)
    await scene.offer("yes", 5400, 8_00)
    await commands.frame()
    wanted = {"sids": [sid], "action": "get_snapshot", "market_tickers": [LOW]}
    again = await commands.ask("update_subscription", wanted)
    assert (again["type"], again["seq"], again["sid"]) == ("orderbook_snapshot", 3, sid)
    assert again["msg"]["yes_dollars_fp"] == [["0.5400", "8.00"]]


@case(237, ASYNCAPI)
async def more_and_fewer_markets(scene: Scene) -> None:
    """Markets are added to and taken from a subscription; acknowledgements are numbered too."""
    await scene.offer("yes", 5000, 1_00, HIGH)
    commands = await opened(scene)
    sid, _ = await book(commands, LOW)
    wanted = {"sids": [sid], "market_tickers": [HIGH]}
    added = await commands.ask("update_subscription", wanted | {"action": "add_markets"})
    assert (added["type"], added["sid"], added["seq"]) == ("ok", sid, 2)
    assert sorted(added["msg"]["market_tickers"]) == [LOW, HIGH]
    snapshot = await commands.frame()
    assert (snapshot["seq"], snapshot["msg"]["market_ticker"]) == (3, HIGH)
    wanted = {"sids": [sid], "market_tickers": [LOW]}
    removed = await commands.ask("update_subscription", wanted | {"action": "delete_markets"})
    assert (removed["seq"], removed["msg"]["market_tickers"]) == (4, [HIGH])
    await scene.offer("yes", 4000, 1_00, LOW)
    await scene.offer("yes", 4000, 1_00, HIGH)
    delta = await commands.frame()
    assert (delta["seq"], delta["msg"]["market_ticker"]) == (5, HIGH)


@case(238, ASYNCAPI)
async def list_and_unsubscribe(scene: Scene) -> None:
    """Subscriptions are listed, and ended by their sid."""
    commands = await opened(scene)
    first, _ = await book(commands, LOW)
    await commands.send("subscribe", {"channels": ["fill", "user_orders"]})
    sids = [one["msg"]["sid"] for one in await commands.frames(2)]
    listed = await commands.ask("list_subscriptions")
    assert listed["type"] == "ok"
    assert sorted((one["channel"], one["sid"]) for one in listed["msg"]) == [
        ("fill", sids[0]),
        ("orderbook_delta", first),
        ("user_orders", sids[1]),
    ]
    ended = await commands.ask("unsubscribe", {"sids": [first]})
    assert (ended["type"], ended["sid"], ended["seq"]) == ("unsubscribed", first, 2)
    await scene.offer("yes", 5000, 1_00)
    assert await commands.is_quiet()
    assert len((await commands.ask("list_subscriptions"))["msg"]) == 2


@case(239, ASYNCAPI)
async def several_channels(scene: Scene) -> None:
    """Each channel of one command has an acknowledgement and a sid of its own."""
    commands = await opened(scene)
    channels = ["ticker", "trade", "fill", "market_lifecycle_v2"]
    number = await commands.send("subscribe", {"channels": channels})
    answers = await commands.frames(4)
    assert [one["msg"]["channel"] for one in answers] == channels
    assert {one["id"] for one in answers} == {number}
    assert len({one["msg"]["sid"] for one in answers}) == 4


@case(240, ASYNCAPI)
async def numbered_and_not(scene: Scene) -> None:
    """Books, trades, lifecycle and index values are numbered; ticker and private channels not."""
    await scene.offer("no", 5000, 10_00)
    alice = await scene.member()
    commands = await scene.commands(alice)
    numbered = ["orderbook_delta", "trade"]
    bare = ["ticker", "fill", "user_orders", "market_positions"]
    await commands.send("subscribe", {"channels": numbered + bare, "market_tickers": [LOW]})
    await commands.frames(len(numbered + bare) + 1)
    await scene.place(alice, BID, 5000, 1_00)
    seen = {one["type"]: "seq" in one for one in await commands.frames(6)}
    assert seen == {
        "orderbook_delta": True,
        "trade": True,
        "ticker": False,
        "fill": False,
        "user_order": False,
        "market_position": False,
    }


@case(241, ASYNCAPI)
async def error_codes(scene: Scene) -> None:
    """What is wrong with a command is told by its code, and the connection lives on."""
    commands = await opened(scene)
    sid, _ = await book(commands, LOW)
    update = "update_subscription"
    for expected, command, params in (
        (2, "subscribe", None),
        (3, "subscribe", {}),
        (3, "subscribe", {"channels": []}),
        (4, "unsubscribe", {}),
        (5, "shout", {}),
        (7, "unsubscribe", {"sids": [4711]}),
        (7, update, {"sids": [4711], "action": "add_markets", "market_tickers": [LOW]}),
        (8, "subscribe", {"channels": ["gossip"]}),
        (12, update, {"action": "add_markets", "market_tickers": [LOW]}),
        (12, update, {"sids": [sid, sid], "action": "add_markets", "market_tickers": [LOW]}),
        (13, update, {"sids": [sid], "action": "dance", "market_tickers": [LOW]}),
        (14, "subscribe", {"channels": ["orderbook_delta"]}),
        (14, update, {"sids": [sid], "action": "add_markets"}),
        (15, update, {"sids": [sid], "market_tickers": [LOW]}),
    ):
        answer = await commands.ask(command, params)
        assert (answer["type"], answer["msg"]["code"]) == ("error", expected), (command, params)
        assert answer["msg"]["msg"]
    await scene.offer("yes", 5000, 1_00)
    assert (await commands.frame())["seq"] == 2


@case(242, ASYNCAPI)
async def nonsense(scene: Scene) -> None:
    """What is no command at all is answered with code 1, and the connection lives on."""
    commands = await opened(scene)
    for text in ("{", "[]", "7", '"subscribe"', ""):
        await commands.text(text)
        answer = await commands.frame()
        assert (answer["type"], answer["msg"]["code"]) == ("error", 1), text
    assert await commands.is_quiet()


@case(243, ASYNCAPI)
async def retired_channels(scene: Scene) -> None:
    """Retired channels are unknown."""
    commands = await opened(scene)
    for channel in ("ticker_v2", "multivariate"):
        answer = await commands.ask("subscribe", {"channels": [channel]})
        assert answer["msg"]["code"] == 8


@case(244, ASYNCAPI)
async def unknown_markets(scene: Scene) -> None:
    """An unknown market among others is told, and the others are followed."""
    commands = await opened(scene)
    params = {"channels": ["orderbook_delta"], "market_tickers": [LOW, "NOTHING-1"]}
    await commands.send("subscribe", params)
    seen = {one["type"]: one for one in await commands.frames(3)}
    assert seen["error"]["msg"]["market_ticker"] == "NOTHING-1"
    assert seen["orderbook_snapshot"]["msg"]["market_ticker"] == LOW
    assert seen["subscribed"]["msg"]["channel"] == "orderbook_delta"


@case(245, ASYNCAPI)
async def index_filter(scene: Scene) -> None:
    """Index values flow only for the indices asked for; the filter can be changed and listed."""
    commands = await opened(scene)
    channels = {"channels": ["cfbenchmarks_value"]}
    sid = (await commands.ask("subscribe", channels))["msg"]["sid"]
    await scene.act("set_index", "BRTI", 90_000_000_000)
    assert await commands.is_quiet()
    wanted = {"sids": [sid], "index_ids": ["BRTI"]}
    answer = await commands.ask("update_subscription", wanted | {"action": "subscribe_indices"})
    assert (answer["type"], answer["msg"]["index_ids"]) == ("ok", ["BRTI"])
    await scene.advance(1)
    await scene.act("set_index", "ETHUSD_RTI", 3_000_000_000)
    await scene.act("set_index", "BRTI", 90_001_000_000)
    assert (await commands.frame())["msg"]["index_id"] == "BRTI"
    listed = await commands.ask("update_subscription", {"sids": [sid], "action": "indexlist"})
    assert listed["type"] == "cfbenchmarks_value_indexlist"
    answer = await commands.ask("update_subscription", wanted | {"action": "unsubscribe_indices"})
    assert answer["msg"]["index_ids"] == []


@case(246, ASYNCAPI)
async def own_numbering_of_each_connection(scene: Scene) -> None:
    """Each connection numbers its own subscriptions from one."""
    await scene.offer("yes", 5400, 10_00)
    alice = await scene.member()
    for _ in range(2):
        commands = await scene.commands(alice)
        sid, (snapshot,) = await book(commands, LOW)
        assert (sid, snapshot["seq"]) == (1, 1)
