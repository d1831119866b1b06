// Which money this is, whose, how much of it, and how old the figures are.

import type { ComponentChildren } from "preact";
import { api } from "./api";
import { desk } from "./desk";
import { age, clock, day, dollars, say, moneySign, usd } from "./format";
import { isOver, strictest, useStore } from "./store";
import type { Known } from "./wire";

const MEANING: Record<string, string> = {
  paper: "Simulated exchange · no real money",
  shadow: "Live market · decides, sends nothing",
  demo: "Kalshi demo exchange · play money",
  prod: "KALSHI PRODUCTION · REAL MONEY",
};

export function ModeBanner() {
  const store = useStore();
  const account = store.account;
  const mode = account?.mode;
  const { speed } = store;
  const isMixed = new Set(store.accounts.map((item) => item.mode)).size > 1;
  return (
    <header class={`mode mode-${mode ?? "none"}`} role="banner">
      <strong class="mode-name">{mode ? mode.toUpperCase() : "NO ACCOUNT"}</strong>
      <span class="mode-meaning">{mode ? MEANING[mode] : "Apply a TradingAccount to begin"}</span>
      <label class="mode-account">
        <span>Account</span>
        <select
          value={store.view.account ?? ""}
          onChange={(event) => store.look(event.currentTarget.value, null)}
          data-key="account"
        >
          {store.accounts.map((item) => (
            <option key={item.account} value={item.account}>
              {item.account}
              {isMixed && ` · ${item.mode}`}
            </option>
          ))}
        </select>
      </label>
      {account?.problem && <span class="pill bad">document: {account.problem}</span>}
      <span class="spring" />
      <Connection />
      <time class="mode-clock num" title="Market time, New York">
        {store.hasData ? `${day(store.now())}, ${clock(store.now())}` : "–"} <small>ET{speed > 1.2 && ` ×${Math.round(speed)}`}</small>
      </time>
      <button class="quiet for-keys" onClick={() => desk.open({ kind: "help" })} aria-label="Keyboard shortcuts">
        ?
      </button>
      <button
        class="quiet"
        onClick={() => void api.logout().finally(() => location.reload())}
      >
        Log out
      </button>
    </header>
  );
}

function Connection() {
  const store = useStore();
  const exchange = store.exchange;
  const isTrading = exchange?.is_trading_active;
  const link = store.isLive ? "live" : store.link;
  return (
    <span class="pills">
      <span class={`pill ${store.isLive ? "ok" : "bad"}`}>
        <i aria-hidden="true" />
        {link}
      </span>
      <span class={`pill ${exchange?.is_connected && isTrading ? "ok" : exchange ? "bad" : "idle"}`}>
        <i aria-hidden="true" />
        {exchange == null
          ? "exchange unknown"
          : !exchange.is_connected
            ? "exchange unreachable"
            : isTrading
              ? "exchange open"
              : "exchange paused"}
      </span>
      {store.database && !store.database.is_available && (
        <span class="pill bad" title={store.database.reason}>
          <i aria-hidden="true" />
          database away
        </span>
      )}
    </span>
  );
}

function Tile(props: { label: string; title?: string; tone?: string; children: ComponentChildren }) {
  return (
    <div class={`tile ${props.tone ?? ""}`} title={props.title}>
      <span class="tile-label">{props.label}</span>
      <span class="tile-value num">{props.children}</span>
    </div>
  );
}

function Bar(props: { part: number; whole: number; label: string }) {
  const permille = props.whole > 0 ? Math.min(1000, Math.round((1000 * props.part) / props.whole)) : 0;
  const tone = permille >= 900 ? "bad" : permille >= 600 ? "warn" : "";
  return <meter class={`bar ${tone}`} min={0} max={1000} value={permille} aria-label={props.label} />;
}

export function Tiles() {
  const store = useStore();
  const money = store.money;
  const open = openResult(store);
  const today = money ? money.result_today_usd_e6 + (open ?? 0) : null;
  const compared = money?.compared;
  const isOff = compared && compared.exchange_usd_e6 !== compared.ledger_usd_e6;
  return (
    <section class="tiles" aria-label="Account">
      <Tile
        label="Cash"
        title={
          compared
            ? `Exchange ${usd(compared.exchange_usd_e6)}, our ledger ${usd(compared.ledger_usd_e6)}, compared ${clock(compared.as_of_us)}`
            : "Not yet compared with the exchange"
        }
        tone={isOff ? "bad" : ""}
      >
        {usd(money?.cash_usd_e6)}
        {compared && <small class={isOff ? "down" : "dim"}>{isOff ? " ≠ exchange" : " ✓"}</small>}
      </Tile>
      <Tile label="Equity" title="Cash and positions at cost, with open trades at what they would bring now">
        {usd(money?.equity_usd_e6 == null ? null : money.equity_usd_e6 + (open ?? 0))}
      </Tile>
      <Tile label="Day PnL" title="After fees, New York day: booked today, and open trades if closed now" tone={moneySign(today)}>
        {usd(today, true)}
        {money && <small class="dim"> booked {usd(money.result_today_usd_e6, true)}</small>}
      </Tile>
      <Tile label="At risk" title="Cost of what is held and may still be filled, at its worst case, of the limit">
        {usd(money?.at_risk_usd_e6)}
        {money && <small class="dim"> of {dollars(money.max_at_risk_usd_e6)}</small>}
        {money && <Bar part={money.at_risk_usd_e6} whole={money.max_at_risk_usd_e6} label="Risk used" />}
      </Tile>
      <Tile
        label="Worst day"
        title="The most that the limits allow to be lost today: the daily loss limit, reached with all allowed cost at stake. By the exchange: all cash where contracts are bought and all that is held; it keeps to that whatever we do"
      >
        {money?.worst_today_usd_e6 == null ? "–" : usd(-money.worst_today_usd_e6)}
        {money?.exchange_allows_usd_e6 != null && <small class="dim"> by the exchange {dollars(-money.exchange_allows_usd_e6)}</small>}
      </Tile>
      <Tile label="Open trades">
        {money ? money.open_trades : "–"}
        {money && <small class="dim"> of {money.max_open_trades}</small>}
      </Tile>
      <Ages />
      <HaltButton />
    </section>
  );
}

function openResult(store: ReturnType<typeof useStore>): Known<number> {
  let total: Known<number> = null;
  for (const trade of store.trades) {
    if (isOver(trade)) continue;
    const value = store.value(trade.trade_id);
    if (value?.pnl_usd_e6 != null) total = (total ?? 0) + value.pnl_usd_e6;
  }
  return total;
}

function Ages() {
  const store = useStore();
  const now = store.now();
  const price = store.price;
  const books = store.rows.filter((row) => row.is_valid).map((row) => row.book_at_us);
  const priceAt = price ? (price.index_at_us ?? price.spot_at_us ?? price.at_us) : null;
  const oldest = (at: Known<number>) => (at === null ? null : now - at);
  const risk = store.settings?.risk ?? {};
  return (
    <div class="tile ages">
      <Age label="Price" us={oldest(priceAt)} limitMs={Number(risk["maxPriceAgeMilliseconds"] ?? 3000)} />
      <Age label="Book" us={oldest(books.length ? Math.max(...books) : null)} limitMs={Number(risk["maxBookAgeMilliseconds"] ?? 5000)} />
      <Age label="Table" us={oldest(store.event?.at_us ?? null)} limitMs={3000} />
    </div>
  );
}

function Age(props: { label: string; us: Known<number>; limitMs: number }) {
  const isOld = props.us === null || props.us > props.limitMs * 1000;
  return (
    <span class={`age ${isOld ? "bad" : ""}`} title={`${props.label}: stale above ${props.limitMs / 1000} s`}>
      <span>{props.label}</span>
      <b class="num">{age(props.us)}</b>
      {isOld && <em>{props.us === null ? "none" : "stale"}</em>}
    </span>
  );
}

function HaltButton() {
  const store = useStore();
  const state = strictest(store.switches);
  const scope = store.view.account;
  const own = store.switches.find((row) => row.scope === scope && row.source === "person");
  const isHalted = own?.state === "Halted";
  return (
    <button
      class={`halt ${isHalted ? "is-on" : ""}`}
      disabled={scope === null}
      onClick={() => scope && desk.open({ kind: "switch", scope, state: isHalted ? "Active" : "Halted" })}
      title="Cancels what rests and lets nothing out"
    >
      <b>{isHalted ? "RELEASE" : "HALT"}</b>
      <small>{!store.knowsSwitches ? "unknown" : state === "Active" ? "trading" : say(state)}</small>
    </button>
  );
}

