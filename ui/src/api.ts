// The REST API. Every failure becomes an error whose message a person can read.

import type { Chain, DayCards, Dispute, Preview, Statistics, Switch, SwitchState } from "./wire";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  const text = await answer.text();
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: a proxy's page, or nothing. The status says enough.
  }
  if (!answer.ok) throw new Refused(answer.status, problem(parsed, answer.status));
  return parsed as T;
}

function problem(parsed: unknown, status: number): string {
  const detail = (parsed as { detail?: unknown } | null)?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) {
    return detail.map((item: { loc?: unknown[]; msg?: string }) => `${item.loc?.slice(1).join(".")}: ${item.msg}`).join("; ");
  }
  return `The server answered ${status}.`;
}

export interface Wish {
  account: string;
  purpose: "entry" | "exit";
  market_ticker: string;
  side: "yes" | "no";
  qty_e2: number;
  trade_id: string | null;
  slippage_e4: number;
}

export const api = {
  who: () => call<{ name: string | null }>("GET", "/api/auth/verify"),
  login: (username: string, password: string) =>
    call<{ name: string }>("POST", "/api/auth/login", { username, password }),
  logout: () => call("POST", "/api/auth/logout", {}),
  preview: (wish: Wish) => call<Preview>("POST", "/api/preview", wish),
  confirm: (wish: Wish, limit_price_e4: number, key: string) =>
    call<{ state: string }>("POST", "/api/intents", { ...wish, limit_price_e4 }, { "idempotency-key": key }),
  setSwitch: (scope: string, state: SwitchState, reason: string) =>
    call<Switch[]>("POST", "/api/switches", { scope, state, reason }),
  disputes: (account: string) =>
    call<Dispute[]>("GET", `/api/disputes?account=${encodeURIComponent(account)}`),
  decide: (account: string, id: string, accept: boolean) =>
    call<Dispute[]>("POST", `/api/disputes/${encodeURIComponent(id)}`, { account, accept }),
  saveSettings: (account: string, strategy: unknown) =>
    call("POST", "/api/settings", { account, strategy }),
  statistics: (account: string) =>
    call<Statistics>("GET", `/api/statistics?account=${encodeURIComponent(account)}`),
  dayCards: (account: string) =>
    call<DayCards>("GET", `/api/day_cards?account=${encodeURIComponent(account)}`),
  trace: (id: string) => call<Chain>("GET", `/api/trace/${encodeURIComponent(id)}`),
};
