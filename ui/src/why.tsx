// The chain of one trade: what was seen, wished, sent, answered, filled, settled and booked.

import { useEffect, useState } from "preact/hooks";
import { api, Refused } from "./api";
import { desk } from "./desk";
import { age, cents, clock, contracts, edge, percent, price, say, sign, usd } from "./format";
import { Modal } from "./dialogs";
import type { Trade } from "./wire";

type Step = Record<string, unknown>;

const NAMES: Record<string, string> = {
  decision: "Seen",
  intent: "Wished",
  order: "Ordered",
  order_event: "Exchange",
  fill: "Filled",
  settlement: "Settled",
  ledger: "Booked",
  audit: "State",
};

export function WhyDialog(props: { tradeId: string; number: number }) {
  const [chain, setChain] = useState<{ trade: Trade; steps: Step[] } | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    api.trace(props.tradeId).then(setChain, (error: Refused) => setProblem(error.message));
  }, [props.tradeId]);
  const first = chain ? at(chain.steps[0]) : 0;
  return (
    <Modal title={`Why trade ${props.number}`} wide>
      {problem && <p class="bad" role="alert">{problem}</p>}
      {chain && (
        <>
          <p class="dim">
            {chain.trade.side.toUpperCase()} of {chain.trade.market_ticker} · {say(chain.trade.source)} · {say(chain.trade.state)}
            {chain.trade.pnl_usd_e6 !== null && (
              <>
                {" · "}
                <b class={sign(chain.trade.pnl_usd_e6)}>{usd(chain.trade.pnl_usd_e6, true)}</b> after fees
              </>
            )}
          </p>
          <ol class="chain">
            {chain.steps.map((step, index) => (
              <li key={index} class={`step ${String(step["step"])}`}>
                <time class="num">
                  {clock(at(step))} <small class="dim">+{age(at(step) - first)}</small>
                </time>
                <b>{NAMES[String(step["step"])] ?? String(step["step"])}</b>
                <span>{tell(step, chain.trade)}</span>
              </li>
            ))}
          </ol>
        </>
      )}
      <div class="actions">
        <button class="primary" autoFocus onClick={() => desk.open(null)}>
          Close
        </button>
      </div>
    </Modal>
  );
}

function at(step: Step | undefined): number {
  return Number(step?.["at_us"] ?? step?.["created_at_us"] ?? step?.["settled_at_us"] ?? 0);
}

function number(step: Step, name: string): number | null {
  const value = step[name];
  return typeof value === "number" ? value : null;
}

function own(step: Step, trade: Trade): string {
  const yes = number(step, "yes_price_e4");
  return cents(yes === null ? null : trade.side === "yes" ? yes : 10_000 - yes);
}

function tell(step: Step, trade: Trade): string {
  switch (step["step"]) {
    case "decision": {
      const body = (step["body"] ?? {}) as Record<string, unknown>;
      const strikes = (body["strikes"] ?? []) as [string, string, number | null, number | null, number | null][];
      const mine = strikes.find((strike) => strike[0] === trade.market_ticker);
      const seen = mine ? `${mine[1]} ${percent(mine[2])}, ask ${cents(mine[3])}, edge ${edge(mine[4])}¢; ` : "";
      return `snapshot ${String(step["generation"])}: ${seen}price ${price(number(body, "price_usd_e6"))}, momentum bucket ${String(body["momentum_bucket"] ?? "–")}, model ${String(body["model"] ?? "–")}, ${strikes.length} strikes judged`;
    }
    case "intent": {
      const verdict = step["state"] === "refused" ? `refused: ${String(step["refusal"])}` : String(step["state"]);
      return `${say(String(step["source"]))} ${String(step["purpose"])}: ${contracts(number(step, "qty_e2"))} at ${cents(number(step, "limit_price_e4"))} or better, model ${percent(number(step, "p_e6"))}, edge ${edge(number(step, "edge_e4"))}¢ → ${verdict}`;
    }
    case "order":
      return `${String(step["purpose"])} attempt ${String(step["attempt"])}: ${contracts(number(step, "qty_e2"))} at ${own(step, trade)}, ${String(step["time_in_force"])}${step["is_reduce_only"] ? ", reduce only" : ""} → ${say(String(step["state"]))}`;
    case "order_event":
      return `${say(String(step["kind"]))} ${brief(step["body"])}`;
    case "fill":
      return `${contracts(number(step, "qty_e2"))} at ${own(step, trade)}, fee ${usd(number(step, "fee_usd_e6"))}${step["is_taker"] ? "" : ", maker"}`;
    case "settlement":
      return `result ${String(step["result"]).toUpperCase()}, revenue ${usd(number(step, "revenue_usd_e6"))}`;
    case "ledger":
      return `${String(step["kind"])}: ${String(step["book"])} ${usd(number(step, "amount_usd_e6"), true)}`;
    case "audit":
      return `${step["old_state"] ? `${say(String(step["old_state"]))} → ` : ""}${say(String(step["new_state"]))}${step["note"] ? ` (${String(step["note"])})` : ""}`;
    default:
      return brief(step);
  }
}

function brief(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = JSON.stringify(value);
  return text === "{}" ? "" : text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
