"""What a case works with: one exchange, its world, and members who use one of the two clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.contract import listing
from tests.contract.house import House, Venue
from tests.contract.members import (
    BASE_PATH,
    WITHIN_S,
    Answer,
    Commands,
    Follower,
    Key,
    Member,
)
from tests.contract.official import Driver, OfficialMember
from tests.contract.ours import OurMember
from tests.contract.suite import OFFICIAL, Case

from recio.adapters.kalshi.model import NewOrder, OrderRef, OrderReply, SelfTrade, TimeInForce
from recio.adapters.transport.client import HttpClient
from recio.domain.orders import BookSide
from recio.exchange_simulator.specs import Side

BID: Final = BookSide.BID
ASK: Final = BookSide.ASK
GTC: Final = TimeInForce.GOOD_TILL_CANCELED
IOC: Final = TimeInForce.IMMEDIATE_OR_CANCEL
FOK: Final = TimeInForce.FILL_OR_KILL
MAKER: Final = SelfTrade.MAKER
ORDERS: Final = "/portfolio/events/orders"
_JSON: Final = {"Content-Type": "application/json"}


@cache
def rsa_pems(number: int) -> tuple[str, str]:
    """Return a key pair (private as PKCS#1, public): making one takes a tenth of a second."""
    del number
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Scene:
    """One case's run."""

    def __init__(self, house: House, driver: Driver | None, case: Case, client: str) -> None:
        self.client = client
        self.is_official = client == OFFICIAL
        self.venue = house.venue = Venue(dict(case.config), dict(case.listing))
        self.exchange = self.venue.exchange
        self._house = house
        self._driver = driver
        self._http = HttpClient(house.http)
        self._control = HttpClient(house.control)
        self._members: list[Member] = []
        self._followers: list[Follower] = []
        self._sockets: list[Commands] = []
        self._names = count(1)
        self._orders = count(1)

    async def close(self) -> None:
        """Close everything that the case has opened."""
        for follower in self._followers:
            await follower.close()
        for socket in self._sockets:
            await socket.close()
        for member in self._members:
            await member.close()
        await self._http.close()
        await self._control.close()
        self._house.venue = None

    # Members.

    async def member(
        self, name: str = "alice", dollars: int | str = 1000, **options: Any
    ) -> Member:
        """Open an account with cash on the crypto shard and join with a key of its own."""
        return await self.join(await self.account(name, dollars), **options)

    async def account(
        self, name: str, dollars: int | str = 1000, *, key_type: str | None = None
    ) -> Key:
        """Open an account over the admin API; without ``key_type`` with a ready-made RSA key."""
        private, public = rsa_pems(next(self._names) % 3)
        body: dict[str, Any] = {"account": name, "initial_balance_dollars": str(dollars)}
        body |= {"public_key_pem": public} if key_type is None else {"key_type": key_type}
        made = await self.http("POST", "/admin/accounts", body)
        assert made.status == 201, made
        return Key(made.body["api_key_id"], made.body["private_key"] or private)

    async def join(
        self,
        key: Key | None,
        *,
        skew_ms: int = 0,
        timeout_s: float = WITHIN_S,
        origin: str = "",
        websocket: str = "",
    ) -> Member:
        """Use the client with a key, or without one as a visitor."""
        origins = (origin or self._house.http, websocket or self._house.websocket)
        member: Member
        if self.is_official:
            assert self._driver is not None
            member = await OfficialMember.join(
                self._driver, origins, key, skew_ms=skew_ms, timeout_s=timeout_s
            )
        else:
            member = OurMember(origins, key, self.venue.clock, skew_ms=skew_ms, timeout_s=timeout_s)
        self._members.append(member)
        return member

    async def follow(self, member: Member, *subscriptions: Any) -> Any:
        """Let a member follow channels; closed at the end."""
        before = self.subscriptions()
        follower = await member.follow(*subscriptions)
        self._followers.append(follower)
        # What is pushed before the exchange knows of a subscription is not for it.
        await self.until(lambda: self.subscriptions() >= before + len(subscriptions))
        return follower

    async def commands(self, member: Member) -> Commands:
        """Open a member's WebSocket for bare commands; closed at the end."""
        commands = Commands(await member.socket())
        self._sockets.append(commands)
        return commands

    def order(
        self,
        side: BookSide,
        price_e4: int,
        qty_e2: int,
        time_in_force: TimeInForce = GTC,
        **more: Any,
    ) -> NewOrder:
        """Return an order in the lower market with a name of its own, on the crypto shard."""
        fields = {
            "ticker": listing.LOW,
            "client_order_id": f"case-{next(self._orders)}",
            "exchange_index": listing.CRYPTO,
        }
        return NewOrder(
            book_side=side,
            qty_e2=qty_e2,
            yes_price_e4=price_e4,
            time_in_force=time_in_force,
            **(fields | more),
        )

    async def place(
        self,
        member: Member,
        side: BookSide,
        price_e4: int,
        qty_e2: int,
        time_in_force: TimeInForce = GTC,
        **more: Any,
    ) -> OrderReply:
        """Create such an order."""
        made: OrderReply = await member.rest.create_order(
            self.order(side, price_e4, qty_e2, time_in_force, **more)
        )
        return made

    # The world and the time.

    @property
    def now_us(self) -> int:
        """Return market time."""
        return self.venue.clock.now_us

    async def advance(self, seconds: float) -> None:
        """Let market time go on."""
        await self.advance_to(self.now_us + round(seconds * 1_000_000))

    async def advance_to(self, at_us: int) -> None:
        """Let market time go on until then."""
        self.venue.clock.now_us = at_us
        self.exchange.advance(at_us)
        await self.venue.gateway.commit()

    async def act(self, action: str, *args: Any, **more: Any) -> Any:
        """Do something of the exchange's world now, such as close, determine or set_index."""
        done = getattr(self.exchange, action)(*args, self.now_us, **more)
        await self.venue.gateway.commit()
        return done

    async def offer(
        self, side: Side, price_e4: int, qty_e2: int, ticker: str = listing.LOW
    ) -> None:
        """Let anonymous bids of ``side`` stand at a price of that side's own scale."""
        assert await self.act("set_external_level", ticker, side, price_e4, qty_e2)

    async def take(self, side: Side, price_e4: int, qty_e2: int, ticker: str = listing.LOW) -> int:
        """Let an anonymous taker buy ``side`` up to a price; return what was traded."""
        done: int = await self.act("external_trade", ticker, side, price_e4, qty_e2)
        return done

    async def settle(self, ticker: str, result: str, value: str = "90000.50") -> None:
        """Close a market by the clock, state its outcome and let it be paid."""
        await self.advance_to(self.exchange.state.markets[ticker].close_us)
        await self.act("determine", ticker, result, expiration_value=value)
        await self.advance(61)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something on the exchange's side is so: frames on their way arrive."""
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                await asyncio.sleep(0.001)

    def subscriptions(self) -> int:
        """Return how many subscriptions the exchange serves."""
        return sum(len(each) for each in self.venue.gateway.hub.by_channel.values())

    # What lies behind the clients.

    async def http(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request that no client has signed, or one with the headers given."""
        data = b"" if body is None else msgspec.json.encode(body)
        reply = await self._http.request(
            method, target, _JSON | (headers or {}), data, timeout_s=WITHIN_S
        )
        decoded = msgspec.json.decode(reply.body) if reply.body else None
        return Answer(reply.status, decoded, dict(reply.headers))

    async def signed(
        self, member: Member, method: str, path: str, body: object = None, *, query: str = ""
    ) -> Answer:
        """Send a request with the headers that a member's client signed; ``path`` below the base."""
        headers = await member.sign(method, BASE_PATH + path)
        target = BASE_PATH + path + (f"?{query}" if query else "")
        return await self.http(method, target, body, headers)

    async def truth(self, name: str = "alice") -> dict[str, Any]:
        """Return what the exchange knows of an account, in exact integers."""
        answer = await self.http("GET", f"/admin/accounts/{name}")
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body
        return found

    async def cash(self, name: str = "alice") -> int:
        """Return an account's whole cash in 1e-6 dollar."""
        found: int = (await self.truth(name))["cash_usd_e6"]
        return found

    async def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the control API for something."""
        data = b"" if body is None else msgspec.json.encode(body)
        reply = await self._control.request(method, path, _JSON, data, timeout_s=WITHIN_S)
        found: dict[str, Any] = msgspec.json.decode(reply.body)
        assert reply.status == 200, found
        return found


def ref(order_id: str, ticker: str = listing.LOW) -> OrderRef:
    """Name an order with its market and shard, as ours always does."""
    return OrderRef(order_id=order_id, ticker=ticker, exchange_index=listing.CRYPTO)
