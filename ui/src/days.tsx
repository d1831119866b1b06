// What each New York day was worth after fees, beside the market's own price; of a prod account also
// what its shadow earned.

import { useEffect, useState } from "preact/hooks";
import { api } from "./api";
import { UNKNOWN, day, edge, moneySign, percent, sign, usd } from "./format";
import type { DayCard, DayCards, Known } from "./wire";

const HEADS: [string, string][] = [
  ["Watched", "hours in which an order book was known"],
  ["Trades", "trades that ended on that day"],
  ["Result", "after fees"],
  ["Won", "share of trades that earned something"],
  ["Needed", "the share of wins that breaks even"],
  ["Promised", "edge after fees that the entries promised, cents a contract"],
  ["Realised", "what a contract earned, in cents"],
  ["Slippage", "cents a contract paid beyond the ask that the decision saw"],
  ["Brier", "how far our chances were from the outcome: less is better"],
  ["Market’s", "the same of the ask at the decision, over the same trades"],
];

export function Days(props: { account: string; count: number }) {
  const [known, setKnown] = useState<DayCards | null>(null);
  useEffect(() => {
    api.dayCards(props.account).then(setKnown, () => setKnown(null));
  }, [props.account, props.count]);
  if (known === null) return null;
  return (
    <>
      {known.shadow !== null && <p class="small">Without money: {known.shadow}.</p>}
      {known.days.length > 0 && (
        <table class="grid num log days">
          <thead>
            <tr>
              <th scope="col" class="left">Day</th>
              {HEADS.map(([name, title]) => (
                <th key={name} scope="col" title={title}>{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {known.days.map((card) => (
              <Row key={card.day_start_us} card={card} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function Row(props: { card: DayCard }) {
  const { card } = props;
  const { figures } = card;
  const isBetter = card.brier_e6 !== null && card.market_brier_e6 !== null && card.brier_e6 < card.market_brier_e6;
  return (
    <tr>
      <th scope="row" class="left">{day(card.day_start_us)}</th>
      <td class="dim">{card.watched_minutes === null ? UNKNOWN : `${(card.watched_minutes / 60).toFixed(1)} h`}</td>
      <td>{figures.trades}</td>
      <td class={moneySign(figures.pnl_usd_e6)}>{usd(figures.pnl_usd_e6, true)}</td>
      <td>{percent(figures.win_rate_e6)}</td>
      <td>{percent(figures.break_even_e6)}</td>
      <td>{edge(card.promised_edge_e4)}</td>
      <td class={sign(card.realised_e4)}>{edge(card.realised_e4)}</td>
      <td>{edge(card.slippage_e4)}</td>
      <td class={isBetter ? "up" : ""}>{brier(card.brier_e6)}</td>
      <td>{brier(card.market_brier_e6)}</td>
    </tr>
  );
}

function brier(value: Known<number>): string {
  return value === null ? UNKNOWN : (value / 1e6).toFixed(4);
}
