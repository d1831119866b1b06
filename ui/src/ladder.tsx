// The strike table. While the pointer is over it, its rows stay where they are: only figures change.

import { useRef, useState } from "preact/hooks";
import { desk, useDesk } from "./desk";
import { cents, compact, contracts, countdown, edge, percent, price, say, strike } from "./format";
import { isOver, useStore } from "./store";
import type { Row, Side, Trade } from "./wire";

const SAFE: [number, string, string][] = [
  [980_000, "ultra", "98 % or more"],
  [950_000, "safe", "95 % or more"],
  [800_000, "caution", "80 % or more"],
  [0, "risky", "below 80 %"],
];

/** Strikes on each side of the price that a phone shows first. */
const NEAR = 5;

interface Frozen {
  tickers: string[];
  divider: number;
}

export function LadderPanel() {
  const store = useStore();
  const state = useDesk();
  const event = store.event;
  const [isWhole, setWhole] = useState(false);
  const [frozen, setFrozen] = useState<Frozen | null>(null);
  const rows = store.rows;
  const arranged = arrange(rows, event?.price_usd_e6 ?? null);
  const latest = useRef<Frozen>(arranged);
  latest.current = arranged;
  const shown = frozen !== null && frozen.tickers.some((ticker) => rows.some((row) => row.ticker === ticker)) ? frozen : arranged;
  const byTicker = new Map(rows.map((row) => [row.ticker, row]));
  const held = new Map<string, Trade>();
  for (const trade of store.trades) if (!isOver(trade)) held.set(trade.market_ticker, trade);
  const hold = () => setFrozen(latest.current);
  const release = () => setFrozen(null);

  return (
    <section class="panel ladder" aria-labelledby="ladder-title">
      <div class="ladder-head">
        <h2 id="ladder-title">{event?.title ?? "Waiting for a strike table"}</h2>
        <EventTabs />
        <span class="spring" />
        <button
          class="quiet"
          aria-pressed={state.kept.showsEdge}
          onClick={() => desk.keep({ showsEdge: !state.kept.showsEdge })}
          title="Show the ask, or the edge after fees, in the buttons"
          data-key="edge"
        >
          {state.kept.showsEdge ? "Edge" : "Ask"} <kbd>e</kbd>
        </button>
        <Countdown />
      </div>
      {event?.reason && <p class="notice">No table: {say(event.reason)}</p>}
      <div class={`ladder-scroll ${isWhole ? "is-whole" : ""}`} onPointerEnter={hold} onPointerLeave={release}>
        <table class="grid num" data-held={frozen !== null}>
          <thead>
            <tr>
              <th scope="col" class="left">
                Strike
              </th>
              <th scope="col">Buffer</th>
              <th scope="col" class="wide">
                %
              </th>
              <th scope="col" title="The model's probability that the price stays on this side of the strike">
                Prob
              </th>
              <th scope="col" title={state.kept.showsEdge ? "Edge after fees, cents a contract" : "What YES costs"}>
                {state.kept.showsEdge ? "YES edge" : "YES"}
              </th>
              <th scope="col" title={state.kept.showsEdge ? "Edge after fees, cents a contract" : "What NO costs"}>
                {state.kept.showsEdge ? "NO edge" : "NO"}
              </th>
              <th scope="col" class="wide">
                Volume
              </th>
              <th scope="col" class="left wide">
                Automation
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.tickers.map((ticker, index) => {
              const row = byTicker.get(ticker);
              const trade = held.get(ticker);
              return (
                <>
                  {index === shown.divider && <Divider key="divider" isHeld={frozen !== null} />}
                  <Strike
                    key={ticker}
                    ticker={ticker}
                    row={row}
                    trade={trade}
                    showsEdge={state.kept.showsEdge}
                    isFar={Math.abs(index - shown.divider + 0.5) > NEAR}
                  />
                </>
              );
            })}
            {shown.tickers.length > 0 && shown.divider === shown.tickers.length && (
              <Divider key="divider" isHeld={frozen !== null} />
            )}
          </tbody>
        </table>
        {shown.tickers.length > 2 * NEAR && (
          <button class="quiet more" onClick={() => setWhole(!isWhole)}>
            {isWhole ? "Only the nearest" : `All ${shown.tickers.length} strikes`}
          </button>
        )}
        {shown.tickers.length === 0 && <p class="empty">No live event is known yet.</p>}
      </div>
    </section>
  );
}

/** The highest strike on top; the divider stands before the first strike below the price. */
function arrange(rows: Row[], at: number | null): Frozen {
  const descending = [...rows].reverse();
  const below = at === null ? -1 : descending.findIndex((row) => row.strike_usd_e6 < at);
  return {
    tickers: descending.map((row) => row.ticker),
    divider: at === null ? -1 : below < 0 ? descending.length : below,
  };
}

function EventTabs() {
  const store = useStore();
  const now = store.now();
  const live = store.events.filter((event) => event.close_us > now || event.event_ticker === store.view.event);
  if (live.length < 2) return null;
  return (
    <span class="tabs" role="group" aria-label="Events">
      {live.map((event) => (
        <button
          key={event.event_ticker}
          class="quiet"
          aria-pressed={event.event_ticker === store.view.event}
          onClick={() => store.look(store.view.account, event.event_ticker)}
        >
          {event.series_ticker.endsWith("15M") ? "15 min" : "Hour"} {countdown(event.close_us - now)}
        </button>
      ))}
    </span>
  );
}

function Countdown() {
  const store = useStore();
  const event = store.event;
  if (event === undefined) return null;
  const left = event.close_us - store.now();
  const seconds = left / 1e6;
  const tone = seconds <= 180 ? "bad" : seconds <= 300 ? "warn" : seconds <= 900 ? "good" : "";
  return (
    <span class={`countdown num ${tone}`} role="timer" aria-label="Time to close">
      {left > 0 ? countdown(left) : "closed"}
    </span>
  );
}

function Divider(props: { isHeld: boolean }) {
  const store = useStore();
  const event = store.event;
  const score = event?.momentum.score_e6 ?? 0;
  const size = Math.abs(score) / 10_000;
  const count = size < 5 ? 0 : size < 10 ? 1 : size < 20 ? 2 : 3;
  const arrows = (score > 0 ? "▲" : "▼").repeat(count);
  return (
    <tr class="divider">
      <td colSpan={8}>
        <span>
          <b>{price(event?.price_usd_e6)}</b> <i class={score > 0 ? "up" : "down"}>{arrows}</i>
          {props.isHeld && <small>rows held</small>}
        </span>
      </td>
    </tr>
  );
}

function Strike(props: { ticker: string; row: Row | undefined; trade: Trade | undefined; showsEdge: boolean; isFar: boolean }) {
  const store = useStore();
  const { row, trade } = props;
  if (row === undefined) {
    return (
      <tr class="gone">
        <td class="left">{props.ticker.split("-T")[1] ?? props.ticker}</td>
        <td colSpan={7} class="left dim">
          no longer among the nearest
        </td>
      </tr>
    );
  }
  const stays = row.p_yes_e6 === null ? null : row.side === "yes" ? row.p_yes_e6 : 1e6 - row.p_yes_e6;
  const [, tier, tierText] = SAFE.find(([from]) => (stays ?? 0) >= from) ?? SAFE[3]!;
  const at = store.event?.price_usd_e6;
  const decision = store.decision;
  // While a rule stands against the whole event, no strike is judged.
  const isJudged = decision != null && decision.gate === "" && decision.event_ticker === store.view.event;
  const verdict = isJudged ? decision.strikes[row.ticker] : undefined;
  return (
    <tr class={`strike ${stays === null ? "unknown" : tier} ${row.side === "yes" ? "below" : "above"} ${props.isFar && !trade ? "far" : ""}`} data-ticker={row.ticker}>
      <th scope="row" class="left">
        {strike(row.strike_usd_e6)}
        {trade && (
          <span class={`mark ${trade.side}`} title={`Trade ${trade.number}: ${contracts(trade.filled_qty_e2 - trade.exited_qty_e2)} ${trade.side.toUpperCase()}, ${trade.state}`}>
            ● {trade.side.toUpperCase()}
          </span>
        )}
      </th>
      <td>{price(row.buffer_usd_e6).slice(0, -3)}</td>
      <td class="wide dim">{at ? ((row.buffer_usd_e6 / at) * 100).toFixed(2) : "–"}</td>
      <td class="prob" title={stays === null ? say(row.reason) : tierText}>
        {stays !== null && <span class="prob-bar" aria-hidden="true" style={{ width: `${stays / 10_000}%` }} />}
        <span>{percent(stays)}</span>
      </td>
      <td class="buy">
        <Buy row={row} side="yes" showsEdge={props.showsEdge} />
      </td>
      <td class="buy">
        <Buy row={row} side="no" showsEdge={props.showsEdge} />
      </td>
      <td class="wide dim">{compact(row.volume_e2)}</td>
      <td class="left wide why">{row.reason ? <span class="reason">{say(row.reason)}</span> : <Verdict verdict={verdict} />}</td>
    </tr>
  );
}

function Verdict(props: { verdict: [string, string] | undefined }) {
  if (props.verdict === undefined) return <span class="dim">–</span>;
  const [side, gate] = props.verdict;
  if (gate === "") return <span class="good">✓ bought {side.toUpperCase()}</span>;
  return <span class="reason">{say(gate)}</span>;
}

function Buy(props: { row: Row; side: "yes" | "no"; showsEdge: boolean }) {
  const { row, side } = props;
  const store = useStore();
  const [, ask, available, gain]: Side = row[side];
  const account = store.view.account;
  const size = Number((store.settings?.strategy["sizing"] as { contracts?: number } | undefined)?.contracts ?? 1);
  const name = `${side.toUpperCase()} ${strike(row.strike_usd_e6)}`;
  const isDead = ask === null || !row.is_valid || account === null;
  const tone = gain === null ? "" : gain > 0 ? "gain" : "loss";
  return (
    <button
      class={`box ${side} ${row.side === side ? "active" : "other"} ${tone}`}
      disabled={isDead}
      aria-label={isDead ? `${name}, not for sale` : `Buy ${name} at ${cents(ask)}, edge ${edge(gain)} cents`}
      title={isDead ? say(row.reason || "no_ask") : `${contracts(available)} offered at ${cents(ask)}, edge after fees ${edge(gain)}¢`}
      onClick={() =>
        account !== null &&
        desk.open({
          kind: "order",
          wish: {
            account,
            purpose: "entry",
            market_ticker: row.ticker,
            side,
            qty_e2: size * 100,
            trade_id: null,
            slippage_e4: 100,
          },
        })
      }
    >
      <b>{props.showsEdge ? edge(gain) : cents(ask)}</b>
      <small>{props.showsEdge ? cents(ask) : edge(gain)}</small>
    </button>
  );
}
