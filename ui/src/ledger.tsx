// What happened: the trade log, what was refused, what the trades were worth, and the services.

import { useEffect, useState } from "preact/hooks";
import { api } from "./api";
import { Days } from "./days";
import { desk } from "./desk";
import { cents, clock, contracts, day, edge, percent, say, moneySign, sign, strike, usd } from "./format";
import { isOver, useStore } from "./store";
import { entryPrice, exitPrice } from "./trades";
import type { Intent, Statistics, Trade } from "./wire";

type Tab = "log" | "refused" | "figures" | "services";

export function BottomPanel() {
  const store = useStore();
  const [tab, setTab] = useState<Tab>("log");
  const over = store.trades.filter(isOver);
  const refused = store.intents.filter((intent) => intent.state === "refused");
  const unready = store.health.filter((row) => !row.is_ready).length;
  const tabs: [Tab, string, number | null][] = [
    ["log", "Trade log", over.length],
    ["refused", "Refused", refused.length],
    ["figures", "Results", null],
    ["services", "Services", store.health.length ? store.health.length - unready : null],
  ];
  return (
    <section class="panel bottom" aria-label="History">
      <div
        class="tablist"
        role="tablist"
        onKeyDown={(event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (step === 0) return;
          const names = tabs.map(([name]) => name);
          const next = names[(names.indexOf(tab) + step + names.length) % names.length] ?? tab;
          setTab(next);
          document.getElementById(`tab-${next}`)?.focus();
        }}
      >
        {tabs.map(([name, label, count]) => (
          <button key={name} role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls="history" tabIndex={tab === name ? 0 : -1} onClick={() => setTab(name)}>
            {label}
            {count !== null && <small>{name === "services" ? `${count}/${store.health.length}` : count}</small>}
          </button>
        ))}
      </div>
      <div class="scroll" role="tabpanel" id="history" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === "log" && <Log trades={over} />}
        {tab === "refused" && <RefusedList intents={refused} />}
        {tab === "figures" && <Figures account={store.view.account} count={over.length} />}
        {tab === "services" && <Services />}
      </div>
    </section>
  );
}

function outcome(trade: Trade): [string, string] {
  if (trade.state === "abandoned") return ["–", "no fill"];
  if (trade.pnl_usd_e6 === null) return ["–", say(trade.state)];
  const letter = trade.pnl_usd_e6 > 0 ? "W" : trade.pnl_usd_e6 < 0 ? "L" : "D";
  return [letter, trade.state === "settled" ? "settled" : trade.close_reason || "closed"];
}

function Log(props: { trades: Trade[] }) {
  if (props.trades.length === 0) return <p class="empty">No trade has ended yet.</p>;
  return (
    <table class="grid num log">
      <thead>
        <tr>
          <th scope="col" class="left">#</th>
          <th scope="col" class="left">Opened</th>
          <th scope="col" class="left">Contract</th>
          <th scope="col" class="left wide">By</th>
          <th scope="col">Prob</th>
          <th scope="col">Qty</th>
          <th scope="col">Buy</th>
          <th scope="col">Sell</th>
          <th scope="col" class="wide">Fees</th>
          <th scope="col">PnL</th>
          <th scope="col" class="left">W/L</th>
          <th scope="col" class="left wide">Ended</th>
          <th scope="col" class="wide">Price then</th>
          <th scope="col"><span class="hidden">Why</span></th>
        </tr>
      </thead>
      <tbody>
        {props.trades.map((trade) => {
          const [letter, how] = outcome(trade);
          return (
            <tr key={trade.trade_id}>
              <td class="left dim">{trade.number}</td>
              <td class="left">
                <span class="dim wide">{day(trade.created_at_us)} </span>
                {clock(trade.opened_at_us ?? trade.created_at_us)}
              </td>
              <th scope="row" class="left">
                <span class={`side ${trade.side}`}>{trade.side.toUpperCase()}</span> {strike(trade.strike_usd_e6)}
              </th>
              <td class="left wide dim">{say(trade.source)}</td>
              <td>{percent(trade.p_entry_e6)}</td>
              <td>{contracts(trade.filled_qty_e2)}</td>
              <td>{cents(entryPrice(trade))}</td>
              <td>{cents(exitPrice(trade))}</td>
              <td class="wide dim">{usd(trade.fees_usd_e6)}</td>
              <td class={`pnl ${moneySign(trade.pnl_usd_e6)}`}>{usd(trade.pnl_usd_e6, true)}</td>
              <td class={`left ${moneySign(trade.pnl_usd_e6)}`}>
                <b>{letter}</b> <span class="dim">{how}</span>
              </td>
              <td class="left wide dim">{clock(trade.ended_at_us)}</td>
              <td class="wide dim">{strike(trade.symbol_close_usd_e6)}</td>
              <td>
                <button class="link" onClick={() => desk.open({ kind: "why", id: trade.trade_id, title: `Why trade ${trade.number}` })} aria-label={`Why trade ${trade.number}`}>
                  why
                </button>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function RefusedList(props: { intents: Intent[] }) {
  if (props.intents.length === 0) return <p class="empty">Nothing was refused.</p>;
  return (
    <table class="grid num log">
      <thead>
        <tr>
          <th scope="col" class="left">Time</th>
          <th scope="col" class="left">By</th>
          <th scope="col" class="left">Wish</th>
          <th scope="col">Qty</th>
          <th scope="col">Limit</th>
          <th scope="col" class="wide">Edge</th>
          <th scope="col" class="left">Refused because</th>
          <th scope="col"><span class="hidden">Why</span></th>
        </tr>
      </thead>
      <tbody>
        {props.intents.map((intent) => (
          <tr key={intent.intent_id}>
            <td class="left">{clock(intent.at_us)}</td>
            <td class="left dim">{say(intent.source)}</td>
            <th scope="row" class="left">
              {intent.purpose} <span class={`side ${intent.side}`}>{intent.side.toUpperCase()}</span> {shortTicker(intent.market_ticker)}
            </th>
            <td>{contracts(intent.qty_e2)}</td>
            <td>{cents(intent.limit_price_e4)}</td>
            <td class="wide">{edge(intent.edge_e4)}</td>
            <td class="left wrap">{intent.refusal}</td>
            <td>
              <button
                class="link"
                onClick={() => desk.open({ kind: "why", id: intent.intent_id, title: "Why it was refused" })}
              >
                why
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function shortTicker(ticker: string): string {
  const at = ticker.split("-T")[1];
  if (at === undefined) return ticker;
  const value = Number(at);
  return strike(Math.round(value * 1e6));
}

function Figures(props: { account: string | null; count: number }) {
  const [known, setKnown] = useState<Statistics | null>(null);
  useEffect(() => {
    if (props.account === null) return;
    api.statistics(props.account).then(setKnown, () => setKnown(null));
  }, [props.account, props.count]);
  const days = props.account !== null && <Days account={props.account} count={props.count} />;
  if (known === null || known.trades === 0) {
    return (
      <>
        <p class="empty">No figures yet.</p>
        {days}
      </>
    );
  }
  const isPaying = known.win_rate_e6 !== null && known.break_even_e6 !== null && known.win_rate_e6 > known.break_even_e6;
  const shown: [string, string, string][] = [
    ["Trades", String(known.trades), ""],
    ["Result", usd(known.pnl_usd_e6, true), moneySign(known.pnl_usd_e6)],
    ["Per trade", usd(known.expectancy_usd_e6, true), moneySign(known.expectancy_usd_e6)],
    ["Won", percent(known.win_rate_e6), isPaying ? "up" : "down"],
    ["Breaks even at", percent(known.break_even_e6), ""],
    ["Model said", percent(known.predicted_e6), ""],
    ["Profit factor", known.profit_factor_e6 === null ? "–" : (known.profit_factor_e6 / 1e6).toFixed(2), ""],
    ["Deepest fall", usd(known.max_drawdown_usd_e6), ""],
    ["Return on cost", percent(known.return_e6), sign(known.return_e6)],
    ["Fees", usd(known.fees_usd_e6), ""],
  ];
  return (
    <>
      <dl class="figures">
        {shown.map(([name, value, tone]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={`num ${tone}`}>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="dim small">
        After fees. A win rate earns only what it has above the break-even. Won against predicted:{" "}
        {known.calibration.map((part) => `${percent(part.predicted_e6, 0)} → ${percent(part.won_e6, 0)} (${part.trades})`).join(", ") || "no trade had a probability"}
        .
      </p>
      {days}
    </>
  );
}

function Services() {
  const store = useStore();
  if (store.health.length === 0) return <p class="empty">system_monitor has not reported yet.</p>;
  const rows = [...store.health].sort((a, b) => Number(a.is_ready) - Number(b.is_ready) || a.service.localeCompare(b.service));
  return (
    <ul class="services">
      {rows.map((row) => (
        <li key={`${row.service} ${row.account}`} class={row.is_ready ? row.level : "critical"}>
          <i aria-hidden="true" />
          <b>{row.service}</b> {row.account && <span class="dim">{row.account}</span>}
          <small class="dim">{row.is_ready ? row.level : row.reason || "not ready"}</small>
        </li>
      ))}
    </ul>
  );
}
