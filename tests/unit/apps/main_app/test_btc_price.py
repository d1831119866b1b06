"""GET /api/btc_price: exact, from memory, and honest about what is not known."""

from __future__ import annotations

import asyncio
import json

from recio.apps.main_app.btc_price import PriceAnswer
from recio.domain.messages import PriceUpdate


def ask(answer: PriceAnswer, method: str = "GET") -> tuple[int, bytes]:
    """Ask; return status and body."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(answer.answer({"method": method}, send))
    return sent[0]["status"], sent[1]["body"]


def update(**changed) -> PriceUpdate:
    """Return a message without any price but what is given."""
    fields = {"environment": "paper", "symbol": "BTC", "at_us": 5, "seen_us": 6, **changed}
    return PriceUpdate(**fields)


def test_before_the_first_price_it_says_so():
    """503, never a default number."""
    status, body = ask(PriceAnswer())
    assert status == 503
    assert "price" in json.loads(body)["detail"]


def test_the_index_goes_before_the_spot():
    """What the event settles on is the price; its own time goes with it."""
    answer = PriceAnswer()
    answer.update(update(index_usd_e6=91_234_567_891, index_at_us=4, spot_usd_e6=1))
    status, body = ask(answer)
    assert status == 200
    assert b'"price":91234.567891,' in body
    found = json.loads(body)
    assert (found["source"], found["price_usd_e6"], found["at_us"]) == ("index", 91_234_567_891, 4)


def test_without_an_index_it_is_the_spot():
    """And it says which one it is."""
    answer = PriceAnswer()
    answer.update(update(spot_usd_e6=91_000_000_000, spot_at_us=3))
    assert json.loads(ask(answer)[1])["source"] == "spot"


def test_other_symbols_and_empty_messages_change_nothing():
    """Ether is not Bitcoin."""
    answer = PriceAnswer()
    answer.update(update(symbol="ETH", index_usd_e6=3_000_000_000))
    answer.update(update())
    assert ask(answer)[0] == 503


def test_only_reading_is_allowed():
    """405 for a write, no body for HEAD."""
    answer = PriceAnswer()
    assert ask(answer, "POST")[0] == 405
    assert ask(answer, "HEAD")[1] == b""
