// What is held now, what it would bring, and the button that closes it.

import { desk } from "./desk";
import { cents, clock, contracts, countdown, dollars, percent, say, moneySign, strike, usd } from "./format";
import { isOver, useStore } from "./store";
import type { Stop, Trade } from "./wire";

export function openTrades(trades: Trade[]): Trade[] {
  return trades.filter((trade) => !isOver(trade)).sort((a, b) => a.number - b.number);
}

export function closeTrade(trade: Trade): void {
  const held = trade.filled_qty_e2 - trade.exited_qty_e2;
  if (held <= 0 || trade.state === "expired") return;
  desk.open({
    kind: "order",
    wish: {
      account: trade.account,
      purpose: "exit",
      market_ticker: trade.market_ticker,
      side: trade.side,
      qty_e2: held,
      trade_id: trade.trade_id,
      slippage_e4: 200,
    },
  });
}

/** The average price of what was bought, in 1e-4 dollar. */
export function entryPrice(trade: Trade): number | null {
  return trade.filled_qty_e2 > 0 ? Math.round(trade.entry_cost_usd_e6 / trade.filled_qty_e2) : null;
}

export function exitPrice(trade: Trade): number | null {
  if (trade.settlement_usd_e6 !== null && trade.filled_qty_e2 > trade.exited_qty_e2) {
    return Math.round(trade.settlement_usd_e6 / (trade.filled_qty_e2 - trade.exited_qty_e2));
  }
  return trade.exited_qty_e2 > 0 ? Math.round(trade.exit_proceeds_usd_e6 / trade.exited_qty_e2) : null;
}

export function TradesPanel() {
  const store = useStore();
  const trades = openTrades(store.trades);
  return (
    <section class="panel holdings" aria-labelledby="open-title">
      <h2 id="open-title">
        Open trades <small>{trades.length}</small>
      </h2>
      {trades.length === 0 ? (
        <p class="empty">No open trades.</p>
      ) : (
        <div class="scroll">
          <table class="grid num">
            <thead>
              <tr>
                <th scope="col" class="left">Contract</th>
                <th scope="col">Qty</th>
                <th scope="col">Paid</th>
                <th scope="col">Bid</th>
                <th scope="col">Prob</th>
                <th scope="col">PnL now</th>
                <th scope="col"><span class="hidden">Close</span></th>
              </tr>
            </thead>
            <tbody>
              {trades.map((trade) => (
                <OpenTrade key={trade.trade_id} trade={trade} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function OpenTrade(props: { trade: Trade }) {
  const store = useStore();
  const { trade } = props;
  const value = store.value(trade.trade_id);
  const held = trade.filled_qty_e2 - trade.exited_qty_e2;
  const left = trade.close_at_us - store.now();
  const danger = value?.p_e6 == null ? "" : value.p_e6 >= 950_000 ? "ultra" : value.p_e6 >= 800_000 ? "safe" : value.p_e6 >= 500_000 ? "caution" : "risky";
  const stop = store.stopOf(trade.trade_id);
  const note = [stopNote(stop, store.now()), bufferNote(value?.buffer_usd_e6)].filter(Boolean).join(" · ");
  return (
    <>
      <tr class={`trade ${danger} ${trade.state}`} data-trade={trade.number}>
        <th scope="row" class="left">
          <span class={`side ${trade.side}`}>{trade.side.toUpperCase()}</span> {strike(trade.strike_usd_e6)}
        </th>
        <td>{contracts(held > 0 ? held : trade.wanted_qty_e2)}</td>
        <td>{cents(entryPrice(trade))}</td>
        <td>{cents(value?.bid_e4)}</td>
        <td>{percent(value?.p_e6, 0)}</td>
        <td class={`pnl ${moneySign(value?.pnl_usd_e6)}`}>{usd(value?.pnl_usd_e6, true)}</td>
        <td>
          {held > 0 && trade.state !== "expired" ? (
            <button class="close" onClick={() => closeTrade(trade)} aria-label={`Close trade ${trade.number}`}>
              Close
            </button>
          ) : (
            <span class="state">{say(trade.state)}</span>
          )}
        </td>
      </tr>
      <tr class="trade-note">
        <td colSpan={7} class="left">
          <button class="link" onClick={() => desk.open({ kind: "why", id: trade.trade_id, title: `Why trade ${trade.number}` })}>
            #{trade.number} why
          </button>{" "}
          {say(trade.source)} · {trade.state === "open" ? `opened ${clock(trade.opened_at_us)}` : say(trade.state)} ·{" "}
          {left > 0 ? `${countdown(left)} left` : "at the close"}
          {note && ` · ${note}`}
        </td>
      </tr>
    </>
  );
}

function bufferNote(buffer: number | null | undefined): string {
  if (buffer == null) return "";
  return buffer >= 0 ? `${dollars(buffer)} ahead` : `${dollars(-buffer)} behind`;
}

function stopNote(stop: Stop | undefined, now: number): string {
  const body = stop?.body as { fired_at_us?: number | null; below_since_us?: number | null; reason?: string } | undefined;
  if (body?.fired_at_us != null) return `stop fired: ${say(body.reason ?? "")}`;
  if (body?.below_since_us != null) return `below the stop for ${Math.max(0, Math.floor((now - body.below_since_us) / 1e6))} s`;
  return "";
}
