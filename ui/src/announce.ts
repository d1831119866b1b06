// Says aloud, for screen readers and as short messages, what changed: fills politely, halts at once.

import { desk } from "./desk";
import { contracts, say, strike, usd } from "./format";
import { strictest, type store as live } from "./store";
import type { Trade } from "./wire";

type Store = typeof live;

const PAUSE_MS = 3000;

export function announceChanges(store: Store): () => void {
  let account: string | null = null;
  let states = new Map<string, string>();
  let intents = new Map<string, string>();
  let held = "";
  let alarmedMs = -PAUSE_MS;
  let timer = 0;
  // A breaker that flaps is told once in three seconds, as it then stands.
  const alarm = (state: string) => {
    window.clearTimeout(timer);
    timer = window.setTimeout(
      () => {
        alarmedMs = performance.now();
        desk.alarm(state === "Active" ? "Trading is released." : `Trading is held: ${say(state)}.`);
      },
      Math.max(0, alarmedMs + PAUSE_MS - performance.now()),
    );
  };
  return store.subscribe(() => {
    if (!store.isLive || !store.isWhole) return;
    const isOther = account !== store.view.account;
    account = store.view.account;
    const nextStates = new Map(store.trades.map((trade) => [trade.trade_id, trade.state]));
    const nextIntents = new Map(store.intents.map((intent) => [intent.intent_id, intent.state]));
    const state = strictest(store.switches);
    if (!isOther) {
      for (const trade of store.trades) {
        if (states.get(trade.trade_id) !== trade.state) tellTrade(trade);
      }
      for (const intent of store.intents) {
        if (intent.state === "refused" && intents.get(intent.intent_id) !== "refused" && intent.source === "manual") {
          desk.tell(`Refused: ${intent.refusal}`, "bad");
        }
      }
      if (held !== "" && held !== state) alarm(state);
    }
    states = nextStates;
    intents = nextIntents;
    held = state;
  });
}

function tellTrade(trade: Trade): void {
  const what = `${trade.side.toUpperCase()} ${strike(trade.strike_usd_e6)}`;
  if (trade.state === "open") desk.tell(`Trade ${trade.number} open: ${contracts(trade.filled_qty_e2)} ${what}`, "good");
  else if (trade.state === "abandoned") desk.tell(`Trade ${trade.number}: no fill for ${what}`);
  else if (trade.state === "closed" || trade.state === "settled") {
    const isWon = (trade.pnl_usd_e6 ?? 0) > 0;
    desk.tell(`Trade ${trade.number} ${trade.state}: ${what}, ${usd(trade.pnl_usd_e6, true)} after fees`, isWon ? "good" : "bad");
  }
}
