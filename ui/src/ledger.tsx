// What happened: the trade log, what was refused, what the trades were worth, and the services.

import { useEffect, useState } from "preact/hooks";
import { api } from "./api";
import { desk } from "./desk";
import { cents, clock, contracts, day, edge, percent, say, sign, strike, usd } from "./format";
import { isOver, useStore } from "./store";
import { entryPrice, exitPrice } from "./trades";
import type { Intent, Trade } from "./wire";

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
      <div class="tablist" role="tablist">
        {tabs.map(([name, label, count]) => (
          <button key={name} role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls="history" onClick={() => setTab(name)}>
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
              <td class={`pnl ${sign(trade.pnl_usd_e6)}`}>{usd(trade.pnl_usd_e6, true)}</td>
              <td class={`left ${sign(trade.pnl_usd_e6)}`}>
                <b>{letter}</b> <span class="dim">{how}</span>
              </td>
              <td class="left wide dim">{clock(trade.ended_at_us)}</td>
              <td class="wide dim">{strike(trade.symbol_close_usd_e6)}</td>
              <td>
                <button class="link" onClick={() => desk.open({ kind: "why", tradeId: trade.trade_id, number: trade.number })} aria-label={`Why trade ${trade.number}`}>
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
  const [figures, setFigures] = useState<Record<string, number | null> | null>(null);
  useEffect(() => {
    if (props.account === null) return;
    api.statistics(props.account).then(setFigures, () => setFigures(null));
  }, [props.account, props.count]);
  if (figures === null) return <p class="empty">No figures yet.</p>;
  const share = (value: number | null | undefined) => (value == null ? "–" : `${(value / 10).toFixed(1)}%`);
  const shown: [string, string, string][] = [
    ["Trades", String(figures["trades"] ?? "–"), ""],
    ["Result", usd(figures["pnl_usd_e6"], true), sign(figures["pnl_usd_e6"])],
    ["Per trade", usd(figures["expectancy_usd_e6"], true), sign(figures["expectancy_usd_e6"])],
    ["Won", share(figures["win_permille"]), ""],
    ["Average price paid", share(figures["average_price_permille"]), ""],
    ["Profit factor", figures["profit_factor_permille"] == null ? "–" : (figures["profit_factor_permille"] / 1000).toFixed(2), ""],
    ["Deepest fall", usd(figures["max_drawdown_usd_e6"]), ""],
    ["Return on cost", share(figures["return_on_cost_permille"]), sign(figures["return_on_cost_permille"])],
    ["Fees", usd(figures["fees_usd_e6"]), ""],
  ];
  return (
    <dl class="figures">
      {shown.map(([name, value, tone]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={`num ${tone}`}>{value}</dd>
        </div>
      ))}
      <p class="dim small">
        After fees. Winning {share(figures["win_permille"])} only pays when it is more than the average price paid plus fees.
      </p>
    </dl>
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
