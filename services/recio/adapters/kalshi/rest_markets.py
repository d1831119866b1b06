"""Public reads: exchange, series, events, markets, books, trades, candles, the historical border."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from recio.adapters.kalshi import model, wire, wire_account, wire_markets
from recio.adapters.kalshi.caller import Call, Caller, segment
from recio.domain.units import SECOND_US

PAGE_MARKETS: Final = 1000
PAGE_EVENTS: Final = 200
PAGE_TRADES: Final = 1000
MAX_TICKERS: Final = 100


class MarketReads(Caller):
    """What anybody may read. Rows that do not convert are left out and counted in ``refused``."""

    async def status(self) -> model.StatusRecord:
        """Read whether the exchange is up and trades."""
        return await self._read("/exchange/status", wire_markets.status)

    async def schedule(self) -> model.ScheduleRecord:
        """Read trading hours and announced maintenance."""
        return await self._read("/exchange/schedule", wire_markets.schedule)

    async def series(self, ticker: str) -> model.SeriesRecord:
        """Read one series with its fee."""
        reply = await self._read(
            f"/series/{segment(ticker)}", lambda body: wire.decode(body, wire_markets.SeriesReply)
        )
        return wire_markets.series(reply.series)

    async def series_list(self, category: str) -> tuple[model.SeriesRecord, ...]:
        """Read the series of one category (exact spelling: "Crypto")."""
        reply = await self._read(
            "/series",
            lambda body: wire.decode(body, wire_markets.SeriesListReply),
            {"category": category},
        )
        rows = wire_markets.convert_each(reply.series, wire_markets.series, self.refused, "series")
        return tuple(rows)

    async def fee_changes(self, series_ticker: str) -> tuple[model.FeeChange, ...]:
        """Read announced fee changes of a series."""
        reply = await self._read(
            "/series/fee_changes",
            lambda body: wire.decode(body, wire_markets.FeeChangesReply),
            {"series_ticker": series_ticker},
        )
        return tuple(
            wire_markets.convert_each(
                reply.series_fee_change_arr, wire_markets.fee_change, self.refused, "fee_change"
            )
        )

    async def events(
        self, series_ticker: str, *, status: str | None = None, with_markets: bool = False
    ) -> tuple[model.EventRecord, ...]:
        """Read the events of a series; ``status``: unopened, open, closed, settled."""
        rows = await self._pages(
            "/events",
            wire_markets.EventsReply,
            lambda page: page.events,
            {
                "series_ticker": series_ticker,
                "status": status,
                "with_nested_markets": with_markets or None,
                "limit": PAGE_EVENTS,
            },
        )
        return tuple(
            wire_markets.convert_each(
                rows, lambda row: wire_markets.event(row, self.refused), self.refused, "event"
            )
        )

    async def event(self, event_ticker: str) -> model.EventRecord:
        """Read one event with its markets."""
        reply = await self._read(
            f"/events/{segment(event_ticker)}",
            lambda body: wire.decode(body, wire_markets.EventReply),
            {"with_nested_markets": True},
        )
        return wire_markets.event(reply.event, self.refused, reply.markets)

    async def markets(
        self,
        *,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        tickers: Iterable[str] = (),
        status: str | None = None,
        min_close_us: int | None = None,
        max_close_us: int | None = None,
    ) -> tuple[model.MarketRecord, ...]:
        """Read all pages of markets; ``status``: unopened, open, paused, closed, settled."""
        rows = await self._pages(
            "/markets",
            wire_markets.MarketsReply,
            lambda page: page.markets,
            {
                "series_ticker": series_ticker,
                "event_ticker": event_ticker,
                "tickers": ",".join(tickers) or None,
                "status": status,
                "min_close_ts": _seconds(min_close_us),
                "max_close_ts": _seconds(max_close_us),
                "limit": PAGE_MARKETS,
            },
        )
        return tuple(wire_markets.convert_each(rows, wire_markets.market, self.refused, "market"))

    async def market(self, ticker: str) -> model.MarketRecord:
        """Read one market."""
        reply = await self._read(
            f"/markets/{segment(ticker)}", lambda body: wire.decode(body, wire_markets.MarketReply)
        )
        return wire_markets.market(reply.market)

    async def orderbook(self, ticker: str, *, depth: int = 0) -> model.BookLevels:
        """Read one order book; ``depth`` 0 is all of it."""
        reply = await self._read(
            f"/markets/{segment(ticker)}/orderbook",
            lambda body: wire.decode(body, wire_markets.BookReply),
            {"depth": depth or None},
        )
        return wire_markets.book(ticker, reply.orderbook_fp)

    async def orderbooks(self, tickers: Sequence[str]) -> tuple[model.BookLevels, ...]:
        """Read several order books, 100 in one request."""
        books: list[model.BookLevels] = []
        for start in range(0, len(tickers), MAX_TICKERS):
            names = "&".join(
                f"tickers={segment(each)}" for each in tickers[start : start + MAX_TICKERS]
            )
            reply = wire.decode(
                await self._call(Call(method="GET", path="/markets/orderbooks", raw_query=names)),
                wire_markets.BooksReply,
            )
            books += [
                wire_markets.book(each.ticker, each.orderbook_fp) for each in reply.orderbooks
            ]
        return tuple(books)

    async def trades(
        self, ticker: str, *, min_us: int | None = None, max_us: int | None = None
    ) -> tuple[model.PublicTrade, ...]:
        """Read public trades of a market, newest first."""
        rows = await self._pages(
            "/markets/trades",
            wire_markets.TradesReply,
            lambda page: page.trades,
            {
                "ticker": ticker,
                "min_ts": _seconds(min_us),
                "max_ts": _seconds(max_us),
                "limit": PAGE_TRADES,
            },
        )
        return tuple(wire_markets.convert_each(rows, wire_markets.trade, self.refused, "trade"))

    async def candlesticks(
        self, series_ticker: str, ticker: str, start_us: int, end_us: int, *, minutes: int = 1
    ) -> tuple[model.Candle, ...]:
        """Read candles of a market; ``minutes`` is 1, 60 or 1440."""
        reply = await self._read(
            f"/series/{segment(series_ticker)}/markets/{segment(ticker)}/candlesticks",
            lambda body: wire.decode(body, wire_markets.CandlesReply),
            {
                "start_ts": _seconds(start_us),
                "end_ts": _seconds(end_us),
                "period_interval": minutes,
            },
        )
        return tuple(
            wire_markets.convert_each(
                reply.candlesticks, wire_markets.candle, self.refused, "candle"
            )
        )

    async def historical_cutoff(self) -> model.HistoricalCutoff:
        """Read from when on the live endpoints know things."""
        return await self._read("/historical/cutoff", wire_markets.cutoff)

    async def endpoint_costs(self) -> model.EndpointCosts:
        """Read the price list of the rate budget."""
        return await self._read("/account/endpoint_costs", wire_account.costs)


def _seconds(at_us: int | None) -> int | None:
    return None if at_us is None else at_us // SECOND_US
