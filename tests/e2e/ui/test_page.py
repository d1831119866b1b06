"""The page in a browser: what a person sees, clicks and is told."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

HEIGHT = 900
UNKNOWN = "\N{EN DASH}"
SIGNED = re.compile("^[+\N{MINUS SIGN}]")


def strike(page, dollars: int):
    """Return the row of a strike."""
    return page.locator(f"tr.strike[data-ticker$='T{dollars - 1}.99']")


def switch_rows(desk) -> list:
    """Return what the person has set."""
    return desk.sql(
        "SELECT scope, state::text, reason FROM trading.switches WHERE source = 'person'"
    )


def test_a_stranger_sees_only_the_log_in(browser, desk):
    """Without a session there is a form and no figure; a wrong password is told."""
    desk.market(91_300)
    context = browser.new_context()
    page = context.new_page()
    page.goto(desk.url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert "91,300" not in page.content()
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("wrong password"))
    context.close()


def test_the_mode_cannot_be_mistaken(page):
    """PAPER, in words and in colour, around the whole page."""
    banner = page.get_by_role("banner")
    expect(banner).to_contain_text("PAPER")
    expect(banner).to_contain_text("no real money")
    expect(page.locator(".desk")).to_have_class(re.compile("mode-edge-paper"))


@pytest.mark.parametrize("mode", ["shadow", "demo", "prod"])
def test_every_mode_has_a_face_of_its_own(page, desk, mode):
    """The word changes, and so does the colour of the page's edge."""
    paper = page.evaluate("getComputedStyle(document.querySelector('.desk')).borderLeftColor")
    desk.sql("UPDATE trading.accounts SET mode = %s RETURNING 1", mode)
    desk.sql(
        "INSERT INTO trading.switches VALUES ('new', 'x', 'Active', '', '', '2026-01-01Z') RETURNING 1"
    )
    expect(page.locator(".mode-name")).to_have_text(mode.upper())
    other = page.evaluate("getComputedStyle(document.querySelector('.desk')).borderLeftColor")
    assert other != paper


def test_the_price_moves_by_push(page, desk):
    """Nobody asks; the page shows what the bus says, index, spot and basis."""
    desk.market(91_300.25)
    expect(page.get_by_test_id("price")).to_have_text("$91,300.25")
    desk.market(91_301.5)
    expect(page.get_by_test_id("price")).to_have_text("$91,301.50")
    panel = page.get_by_role("region", name=re.compile("BTC"))
    expect(panel).to_contain_text("91,304.70")
    expect(panel).to_contain_text("+$3.20")


def test_the_strike_table(page, desk):
    """21 strikes, highest on top, the price between those above and below it."""
    desk.market(91_300)
    expect(page.locator("tr.strike")).to_have_count(21)
    order = page.locator("tbody tr.strike, tbody tr.divider").evaluate_all(
        "rows => rows.map(row => row.classList.contains('divider') ? 'price' : row.dataset.ticker)"
    )
    at = order.index("price")
    assert order[at - 1].endswith("T91499.99")
    assert order[at + 1].endswith("T91249.99")
    row = strike(page, 91_000)
    expect(row.locator("th")).to_contain_text("91,000")
    expect(row.locator("td").nth(0)).to_have_text("300")
    expect(row.get_by_role("button", name=re.compile("Buy YES 91,000 at"))).to_be_enabled()


def test_what_cannot_be_traded_says_why(page, desk, strike_row):
    """A side that nobody offers, and a book that is not whole."""
    now = desk.clock.market_us()
    price = 91_300_000_000
    rows = (
        strike_row(91_000, price, now, is_valid=False, reason="book_invalid"),
        strike_row(91_250, price, now, yes_bid_e4=None, reason="no_bid"),
        strike_row(91_500, price, now, p_yes_e6=None, reason="volatility_unknown"),
    )
    desk.market(91_300, rows=rows)
    expect(strike(page, 91_000).get_by_role("button").first).to_be_disabled()
    expect(strike(page, 91_000)).to_contain_text("book not whole")
    expect(strike(page, 91_250).get_by_role("button").nth(1)).to_be_disabled()
    expect(strike(page, 91_500)).to_contain_text("volatility unknown")
    expect(strike(page, 91_500).locator("td.prob")).to_have_text(UNKNOWN)


def test_the_buttons_show_ask_or_edge(page, desk):
    """A key turns all of them; the choice survives a reload."""
    desk.market(91_300)
    button = strike(page, 91_000).locator("button.yes b")
    expect(button).to_have_text(re.compile("¢"))
    page.keyboard.press("e")
    expect(button).to_have_text(SIGNED)
    page.reload()
    expect(strike(page, 91_000).locator("button.yes b")).to_have_text(SIGNED)


def test_rows_do_not_move_under_the_pointer(page, desk):
    """While the pointer is over the table, figures change and rows stay; then it catches up."""
    desk.market(91_300)
    row = strike(page, 91_000)
    row.hover()
    before = row.bounding_box()
    desk.market(92_800)
    expect(row.locator("td").nth(0)).to_have_text("1,800")
    assert row.bounding_box() == before
    expect(page.get_by_text("rows held")).to_be_visible()
    page.mouse.move(5, 5)
    expect(page.get_by_text("rows held")).to_have_count(0)
    assert strike(page, 91_000).bounding_box() != before


def test_the_countdown_follows_the_servers_time(page, desk):
    """Nine minutes on the market's clock, whatever the browser's clock says."""
    desk.market(91_300)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^08:[0-5]\d$"))


def test_an_order_by_hand(page, desk):
    """Click, preview with the worst case, Enter: one intent with the previewed limit."""
    desk.market(91_300)
    strike(page, 91_000).get_by_role("button", name=re.compile("^Buy YES")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("PAPER")
    expect(dialog).to_contain_text("Worst case")
    expect(dialog.get_by_role("button", name=re.compile("^Buy 10 YES"))).to_be_enabled()
    dialog.get_by_label("Contracts").fill("5")
    expect(dialog.get_by_role("button", name=re.compile("^Buy 5 YES"))).to_be_enabled()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    rows = desk.sql("SELECT purpose::text, side::text, qty_e2, reason FROM trading.intents")
    assert rows == [("entry", "yes", 500, "by hand, admin")]


def test_escape_sends_nothing(page, desk):
    """The preview closes, and no row was written."""
    desk.market(91_300)
    strike(page, 91_500).get_by_role("button", name=re.compile("^Buy NO")).click()
    expect(page.get_by_role("dialog")).to_contain_text("Edge at the limit")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert desk.sql("SELECT count(*) FROM trading.intents") == [(0,)]


def test_the_preview_warns(page, desk):
    """What the gate would refuse is read before Enter, not after."""
    desk.market(91_300)
    strike(page, 91_000).get_by_role("button", name=re.compile("^Buy YES")).click()
    page.get_by_role("dialog").get_by_label("Contracts").fill("90")
    expect(page.get_by_role("dialog")).to_contain_text("The gate would refuse")


def test_open_trades_live_and_close(page, desk, add_trade):
    """PnL follows the bid; Close proposes an exit of what is held."""
    desk.market(91_300)
    add_trade(3, 91_000, "yes", price_e4=7000)
    row = page.locator("tr[data-trade='3']")
    expect(row.locator(".pnl")).to_have_text(SIGNED)
    first = row.locator(".pnl").inner_text()
    desk.market(91_350)
    expect(row.locator(".pnl")).not_to_have_text(first)
    expect(strike(page, 91_000).locator(".mark")).to_contain_text("YES")
    row.get_by_role("button", name="Close trade 3").click()
    expect(page.get_by_role("button", name=re.compile("^Sell 10 YES"))).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert desk.sql("SELECT purpose::text, qty_e2 FROM trading.intents") == [("exit", 1000)]


def test_a_settled_trade_is_announced_and_logged(page, desk, add_trade):
    """It leaves the open trades, enters the log with its result, and is said aloud."""
    desk.market(91_300)
    trade_id = add_trade(4, 91_000, "yes")
    expect(page.locator("tr[data-trade='4']")).to_be_visible()
    desk.sql(
        "UPDATE trading.trades SET state = 'settled', settlement_usd_e6 = 10000000,"
        " pnl_usd_e6 = 430000 WHERE trade_id = %s RETURNING 1",
        trade_id,
    )
    log = page.locator("#history")
    expect(log).to_contain_text("+$0.43")
    expect(page.locator("tr[data-trade='4']")).to_have_count(0)
    expect(page.locator("[aria-live=polite]").first).to_contain_text("Trade 4 settled")
    log.get_by_role("button", name="Why trade 4").click()
    expect(page.get_by_role("dialog")).to_contain_text("open → settled")


def test_halt_and_release(page, desk):
    """One key, a reason, Enter; the page says so assertively; only one's own row is released."""
    desk.market(91_300)
    page.get_by_role("heading", name="Switches").wait_for()
    expect(page.get_by_text("Nothing holds trading back.")).to_be_visible()
    page.keyboard.press("h")
    page.get_by_role("dialog").get_by_label("Reason").fill("news")
    page.keyboard.press("Enter")
    expect(page.locator(".effective")).to_have_text("Halted")
    assert switch_rows(desk) == [("paper-one", "Halted", "news")]
    expect(page.locator("[aria-live=assertive]")).to_contain_text("Halted")
    page.get_by_role("button", name=re.compile("RELEASE")).click()
    expect(page.get_by_role("dialog").get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".effective")).to_have_text("Trading")


def test_anothers_switch_is_shown_and_not_released(page, desk):
    """A breaker's row stays when the person releases: its reason is on the page."""
    desk.sql(
        "INSERT INTO trading.switches VALUES ('*', 'breaker:books', 'NoNewEntries',"
        " 'no book for 12 s', 'detector', '2026-11-20Z') RETURNING 1"
    )
    panel = page.get_by_role("region", name=re.compile("Switches"))
    expect(panel).to_contain_text("no book for 12 s")
    expect(panel).to_contain_text("released only there")
    mine = panel.get_by_role("group", name=re.compile("This account"))
    expect(mine.get_by_role("button", name="Trade")).to_have_attribute("aria-pressed", "true")


def test_settings_are_edited_in_their_bounds(page, desk):
    """A value is saved and shown; one beyond its bounds cannot be sent."""
    page.get_by_role("button", name="Settings").click()
    field = page.get_by_role("dialog").get_by_label("Probability at least")
    field.fill("30")
    page.get_by_role("button", name=re.compile("^Save")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    field.fill("97.5")
    page.get_by_role("button", name=re.compile("^Save")).click()
    expect(page.get_by_role("region", name=re.compile("Automation"))).to_contain_text("97.5%")
    (saved,) = desk.sql("SELECT overrides FROM trading.account_settings")
    assert saved[0]["strategy"]["autoEntry"] == {"minProbabilityPermille": 975}


def test_refusals_are_listed_with_their_reason(page, add_refusal):
    """The gate's own words."""
    add_refusal("book is 6120 ms old, at most 5000 allowed")
    page.get_by_role("tab", name=re.compile("Refused")).click()
    expect(page.locator("#history")).to_contain_text("book is 6120 ms old")


def test_the_worst_loss_is_told_by_our_limits_and_by_the_exchange(page, desk):
    """Ours stops at the limits; the exchange lets everything on the shard go: both are shown."""
    tile = page.locator(".tile", has_text="Worst day")
    expect(tile).to_contain_text(re.compile(r"by the exchange .\$1,000"))
    desk.sql(
        "INSERT INTO trading.exchange_limits (account, exchange_index, state, order_group_id,"
        " contracts_e2, cash_usd_e6, elsewhere_usd_e6, changed_at)"
        " VALUES (%s, 2, 'ready', 'fuse', 5000, 200000000, 800000000, '2026-11-20 21:00+00')"
        " RETURNING 1",
        "paper-one",
    )
    expect(tile).to_contain_text(re.compile(r"by the exchange .\$200"))


def test_silence_is_shown(page, desk):
    """A page whose server has gone says so; its figures are dimmed, not hidden."""
    desk.market(91_300)
    expect(page.get_by_test_id("price")).to_have_text("$91,300.00")
    page.context.set_offline(True)
    desk.cut()
    expect(page.get_by_role("alert").first).to_contain_text("Connection lost")
    expect(page.locator(".desk")).to_have_class(re.compile("is-stale"))
    page.context.set_offline(False)
    expect(page.locator(".desk")).not_to_have_class(re.compile("is-stale"), timeout=15_000)


def test_the_keys_are_listed_and_can_be_turned_off(page):
    """`?` shows them; single keys can be switched off."""
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("halt this account")
    page.get_by_label("Single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_desk_without_scroll(page, desk, add_trade):
    """Everything fits at 1440 x 900."""
    add_trade(1, 91_000, "yes")
    desk.market(91_300)
    expect(page.locator("tr.strike")).to_have_count(21)
    size = page.evaluate(
        "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    )
    assert size == [HEIGHT, 1440]
    table = page.locator(".ladder-scroll")
    assert table.evaluate("box => box.scrollHeight <= box.clientHeight")


def test_a_phone(browser, desk, log_in, add_trade):
    """No sideways scroll; halt is in reach of the thumb; the nearest strikes come first."""
    desk.market(91_300)
    add_trade(1, 91_000, "yes")
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    log_in(page)
    expect(page.locator("tr.strike")).to_have_count(21)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.get_by_role("button", name=re.compile("HALT")).bounding_box()
    assert box["y"] + box["height"] <= 844
    assert box["height"] >= 44
    expect(page.locator("tr.strike:visible")).to_have_count(10)
    page.get_by_role("button", name="All 21 strikes").click()
    expect(page.locator("tr.strike:visible")).to_have_count(21)
    context.close()


def test_nothing_is_fetched_from_elsewhere_and_nothing_breaks_the_policy(browser, desk, log_in):
    """Every request goes to this host; no script error, no violation of the policy."""
    context = browser.new_context()
    page = context.new_page()
    hosts, problems = set(), []
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Policy" in line.text else None)
    log_in(page)
    desk.market(91_300)
    expect(page.locator("tr.strike")).to_have_count(21)
    context.close()
    assert hosts == {f"localhost:{desk.port}"}
    assert problems == []
