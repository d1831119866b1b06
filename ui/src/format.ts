// Integers to text. "–" is what is not known; a minus is the real minus sign, so that columns align.

import type { Known } from "./wire";

export const UNKNOWN = "–";

const plain0 = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const plain2 = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

function signed(text: string, value: number, isSigned: boolean): string {
  if (value < 0) return `−${text}`;
  return isSigned && value > 0 ? `+${text}` : text;
}

/** 1e-6 dollar, in dollars and cents. */
export function usd(value: Known<number> | undefined, isSigned = false): string {
  if (value == null) return UNKNOWN;
  const cents = Math.round(Math.abs(value) / 10_000);
  return signed(`$${plain2.format(cents / 100)}`, cents === 0 ? 0 : value, isSigned);
}

/** 1e-6 dollar, in whole dollars. */
export function dollars(value: Known<number> | undefined, isSigned = false): string {
  if (value == null) return UNKNOWN;
  return signed(`$${plain0.format(Math.round(Math.abs(value) / 1e6))}`, value, isSigned);
}

/** A contract price of 1e-4 dollar, in cents. */
export function cents(value: Known<number> | undefined, isSigned = false): string {
  if (value == null) return UNKNOWN;
  const size = Math.abs(value);
  const text = size % 100 === 0 && !isSigned ? String(size / 100) : (size / 100).toFixed(1);
  return signed(`${text}¢`, value, isSigned);
}

/** An edge of 1e-4 dollar a contract, in cents with its sign and one place. */
export function edge(value: Known<number> | undefined): string {
  if (value == null) return UNKNOWN;
  return signed((Math.abs(value) / 100).toFixed(1), value, true);
}

/** A probability of 1e-6, in percent. */
export function percent(value: Known<number> | undefined, places = 1): string {
  if (value == null) return UNKNOWN;
  const text = (value / 10_000).toFixed(places);
  // Nothing is certain before it is settled.
  if (places > 0 && value < 1e6 && text === "100.0") return ">99.9%";
  if (places > 0 && value > 0 && text === "0.0") return "<0.1%";
  return `${text}%`;
}

/** 1e-2 contract. */
export function contracts(value: Known<number> | undefined): string {
  if (value == null) return UNKNOWN;
  return value % 100 === 0 ? plain0.format(value / 100) : (value / 100).toFixed(2);
}

export function compact(value: Known<number>): string {
  if (value == null) return UNKNOWN;
  const whole = value / 100;
  return whole >= 10_000 ? `${(whole / 1000).toFixed(0)}k` : plain0.format(whole);
}

/** A strike as the exchange displays it: $119,500 for 119,499.99. */
export function strike(value: Known<number>): string {
  if (value == null) return UNKNOWN;
  const shown = value % 1_000_000 === 990_000 ? value + 10_000 : value;
  return shown % 1_000_000 === 0 ? plain0.format(shown / 1e6) : plain2.format(shown / 1e6);
}

export function price(value: Known<number> | undefined): string {
  return value == null ? UNKNOWN : plain2.format(Math.round(value / 10_000) / 100);
}

/** Momentum of 1e-6 percent, in hundredths of a percent as thresholds are. */
export function momentum(value: Known<number> | undefined): string {
  if (value == null) return UNKNOWN;
  return signed((Math.abs(value) / 10_000).toFixed(1), value, true);
}

export function age(us: Known<number>): string {
  if (us == null) return UNKNOWN;
  const seconds = Math.max(0, us) / 1e6;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

export function countdown(us: number): string {
  const seconds = Math.max(0, Math.ceil(us / 1e6));
  const minutes = Math.floor(seconds / 60);
  return `${String(minutes).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: "America/New_York",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dayFormat = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  month: "short",
  day: "numeric",
});

export function clock(us: Known<number>): string {
  return us == null ? UNKNOWN : clockFormat.format(us / 1000);
}

export function day(us: Known<number>): string {
  return us == null ? UNKNOWN : dayFormat.format(us / 1000);
}

const words: Record<string, string> = {
  // Gates of the entry rules and reasons of the strike table.
  attempt_pending: "already proposed",
  blend_unknown: "no blend",
  book_crossed: "book crossed",
  book_invalid: "book not whole",
  book_stale: "book too old",
  cooldown: "just tried",
  disabled: "entry is off",
  edge: "edge too small",
  entered_before: "entered before",
  event_contracts: "event's contract limit",
  event_cost: "event's cost limit",
  exchange_not_trading: "exchange paused",
  exchange_paused_or_unknown: "exchange paused",
  fee_unknown: "fee unknown",
  fingerprints_unknown: "no fingerprint",
  live_trade: "trade is open",
  max_open_trades: "limit of open trades",
  no_ask: "no offer",
  no_bid: "no bid",
  no_book: "no book",
  no_index: "no index price",
  not_open: "not open yet",
  price_band: "price outside limits",
  price_stale: "price too old",
  probability: "probability too low",
  side: "not the leading side",
  size: "size is zero",
  spike_pause: "momentum spike",
  too_early: "before the entry window",
  too_late: "after the entry window",
  total_contracts: "contract limit",
  total_cost: "cost limit",
  volatility_unknown: "volatility unknown",
  volume: "too little volume",
  window_unknown: "settlement window unknown",
  // Sources and switches.
  auto_entry: "auto",
  NoNewEntries: "No new entries",
  ReduceOnly: "Reduce only",
};

/** A name of the code as a person reads it. */
export function say(name: string): string {
  return words[name] ?? name.replace(/_/g, " ");
}

export function sign(value: Known<number> | undefined): "" | "up" | "down" {
  if (value == null || value === 0) return "";
  return value > 0 ? "up" : "down";
}

/** The sign of 1e-6 dollar as it is shown: less than half a cent has none. */
export function moneySign(value: Known<number> | undefined): "" | "up" | "down" {
  return value == null ? "" : sign(Math.round(value / 10_000));
}
