// Single keys. None is used while a field has the focus, a dialog is open, or a modifier is held.

import { desk } from "./desk";
import { store } from "./store";
import { closeTrade, openTrades } from "./trades";
import type { SwitchState } from "./wire";

const SWITCHES: Record<string, SwitchState> = { n: "NoNewEntries", r: "ReduceOnly", f: "Flatten" };

export function listenForKeys(): () => void {
  const listener = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || desk.dialog !== null) return;
    const target = event.target as HTMLElement | null;
    if (target?.closest("input, select, textarea, [contenteditable]")) return;
    if (event.key === "?") desk.open({ kind: "help" });
    else if (!desk.kept.hasKeys || !act(event.key)) return;
    event.preventDefault();
  };
  window.addEventListener("keydown", listener);
  return () => window.removeEventListener("keydown", listener);
}

function act(key: string): boolean {
  const account = store.view.account;
  const wanted = SWITCHES[key];
  if (wanted !== undefined && account !== null) desk.open({ kind: "switch", scope: account, state: wanted });
  else if (key === "h") click(".halt");
  else if (key === "e") desk.keep({ showsEdge: !desk.kept.showsEdge });
  else if (key === "s") desk.open({ kind: "settings" });
  else if (key === "a") document.querySelector<HTMLSelectElement>("[data-key=account]")?.focus();
  else if (key === "w") why();
  else if (key === "y" || key === "x") buy(key === "y" ? "yes" : "no");
  else if (key === "ArrowDown" || key === "ArrowUp") choose(key === "ArrowDown" ? 1 : -1);
  else if (/^[1-9]$/.test(key)) {
    const trade = openTrades(store.trades)[Number(key) - 1];
    if (trade) closeTrade(trade);
  } else return false;
  return true;
}

function click(selector: string): void {
  document.querySelector<HTMLButtonElement>(selector)?.click();
}

function why(): void {
  const trade = store.trades[0];
  if (trade) desk.open({ kind: "why", id: trade.trade_id, title: `Why trade ${trade.number}` });
}

function rows(): HTMLTableRowElement[] {
  return [...document.querySelectorAll<HTMLTableRowElement>("tr.strike")];
}

function chosen(): HTMLTableRowElement | undefined {
  const focused = document.activeElement?.closest<HTMLTableRowElement>("tr.strike");
  return focused ?? undefined;
}

function choose(step: number): void {
  const all = rows();
  const from = chosen();
  const middle = all.findIndex((row) => row.classList.contains("below"));
  const next = from === undefined ? all[middle] : all[all.indexOf(from) + step];
  const button = next?.querySelector<HTMLButtonElement>("button.box.active:not(:disabled)") ?? next?.querySelector<HTMLButtonElement>("button.box:not(:disabled)");
  button?.focus();
}

function buy(side: "yes" | "no"): void {
  chosen()?.querySelector<HTMLButtonElement>(`button.box.${side}`)?.click();
}
