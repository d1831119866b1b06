// What the server sends. All numbers are integers; the suffix is the unit: _e4 is 1e-4 dollar,
// _e6 is 1e-6 (dollars or probability), _e2 is 1e-2 contract, _us microseconds of market time.

export type Known<T> = T | null;

export interface Price {
  symbol: string;
  at_us: number;
  index_usd_e6: Known<number>;
  index_at_us: Known<number>;
  spot_usd_e6: Known<number>;
  spot_at_us: Known<number>;
  basis_usd_e6: Known<number>;
  trailing_average_usd_e6: Known<number>;
  window_average_usd_e6: Known<number>;
  window_count: number;
  window_close_us: Known<number>;
  sources: [string, number, number, boolean][];
  gap_count: number;
}

export interface Exchange {
  is_exchange_active: Known<boolean>;
  is_trading_active: Known<boolean>;
  is_connected: boolean;
  resume_us: Known<number>;
  at_us: number;
}

export interface Momentum {
  score_e6: Known<number>;
  bucket: Known<number>;
  deltas_e6: Known<number>[];
  is_complete: boolean;
}

export interface MarketEvent {
  symbol: string;
  series_ticker: string;
  event_ticker: string;
  title: string;
  generation: number;
  open_us: number;
  close_us: number;
  at_us: number;
  price_usd_e6: Known<number>;
  price_at_us: Known<number>;
  momentum: Momentum;
  model: string;
  model_version: string;
  is_trading_active: Known<boolean>;
  reason: string;
  window_average_usd_e6: Known<number>;
  window_count: number;
}

/** bid, ask, contracts at the ask, edge per contract after the taker fee */
export type Side = [Known<number>, Known<number>, number, Known<number>];

export interface Row {
  ticker: string;
  strike_usd_e6: number;
  buffer_usd_e6: number;
  side: "yes" | "no";
  p_yes_e6: Known<number>;
  yes: Side;
  no: Side;
  volume_e2: Known<number>;
  book_at_us: number;
  is_valid: boolean;
  reason: string;
}

export interface Account {
  account: string;
  environment: string;
  mode: "paper" | "shadow" | "demo" | "prod";
  series: string[];
  /** why the account's document cannot be read, or nothing */
  problem: string;
}

export interface Money {
  cash_usd_e6: Known<number>;
  equity_usd_e6: Known<number>;
  result_today_usd_e6: number;
  at_risk_usd_e6: number;
  max_at_risk_usd_e6: number;
  max_daily_loss_usd_e6: number;
  worst_today_usd_e6: Known<number>;
  exchange_allows_usd_e6: Known<number>;
  open_trades: number;
  max_open_trades: number;
  contracts_e2: number;
  max_contracts_e2: number;
  orders_in_minute: number;
  max_orders_per_minute: number;
  breaches: string[];
  compared: Known<{ exchange_usd_e6: number; ledger_usd_e6: number; as_of_us: number }>;
}

export interface Trade {
  trade_id: string;
  account: string;
  number: number;
  state: string;
  source: string;
  strategy: string;
  symbol: string;
  event_ticker: string;
  market_ticker: string;
  strike_usd_e6: Known<number>;
  side: "yes" | "no";
  close_at_us: number;
  wanted_qty_e2: number;
  filled_qty_e2: number;
  exited_qty_e2: number;
  entry_cost_usd_e6: number;
  exit_proceeds_usd_e6: number;
  fees_usd_e6: number;
  settlement_usd_e6: Known<number>;
  pnl_usd_e6: Known<number>;
  p_entry_e6: Known<number>;
  symbol_open_usd_e6: Known<number>;
  symbol_close_usd_e6: Known<number>;
  momentum_bucket: Known<number>;
  close_reason: string;
  opened_at_us: Known<number>;
  ended_at_us: Known<number>;
  created_at_us: number;
}

export interface Value {
  bid_e4: Known<number>;
  pnl_usd_e6: Known<number>;
  p_e6: Known<number>;
  buffer_usd_e6: Known<number>;
  at_us: number;
}

export interface Intent {
  intent_id: string;
  purpose: string;
  source: string;
  market_ticker: string;
  side: "yes" | "no";
  qty_e2: number;
  limit_price_e4: number;
  at_us: number;
  trade_id: Known<string>;
  p_e6: Known<number>;
  edge_e4: Known<number>;
  reason: string;
  state: string;
  refusal: string;
}

export interface Switch {
  scope: string;
  source: string;
  state: SwitchState;
  reason: string;
  author: string;
  changed_at_us: number;
}

/** What the exchange told and is not believed; `can_…` is what a person may do about it. */
export interface Dispute {
  dispute_id: string;
  reason: string;
  explanation: string;
  told: unknown;
  held: unknown;
  state: "open" | "accepted" | "booked" | "discarded" | "cleared";
  opened_at_us: number;
  can_pass: boolean;
  can_accept: boolean;
  can_discard: boolean;
}

export type SwitchState = "Active" | "NoNewEntries" | "ReduceOnly" | "Halted" | "Flatten";

export interface Automation {
  status: string;
  body: Record<string, unknown>;
  changed_at_us: number;
}

export interface Decision {
  event_ticker: string;
  generation: number;
  at_us: number;
  gate: string;
  gates: Record<string, number>;
  strikes: Record<string, [string, string]>;
}

export interface Stop {
  trade_id: string;
  body: Record<string, unknown>;
}

export interface Settings {
  mode: string;
  series: string[];
  model: string;
  strategy_name: string;
  strategy: Record<string, Record<string, unknown>>;
  risk: Record<string, number | string>;
  overrides: Record<string, unknown>;
  author: Known<string>;
  changed_at_us: Known<number>;
  bounds: Record<string, { min?: number; max?: number; choices?: (string | boolean)[] }>;
}

export interface Health {
  service: string;
  account: Known<string>;
  is_ready: boolean;
  reason: string;
  level: string;
}

export interface View {
  account: Known<string>;
  environment: string;
  event: Known<string>;
  model: string;
}

export type Point = [number, number, Known<number>];

export interface Preview {
  account: string;
  purpose: "entry" | "exit";
  market_ticker: string;
  side: "yes" | "no";
  qty_e2: number;
  trade_id: Known<string>;
  best_price_e4: Known<number>;
  available_e2: number;
  limit_price_e4: number;
  cost_usd_e6: number;
  fee_usd_e6: number;
  worst_usd_e6: Known<number>;
  best_usd_e6: Known<number>;
  p_e6: Known<number>;
  break_even_e6: Known<number>;
  edge_e4: Known<number>;
  refusals: string[];
  idempotency_key: string;
}

export interface ChainStep {
  at_us: number;
  kind: string;
  text: string;
  fields: Record<string, unknown>;
}

export interface Chain {
  account: string;
  trade_id: Known<string>;
  steps: ChainStep[];
}

export interface DayCard {
  day_start_us: Known<number>;
  figures: Omit<Statistics, "calibration">;
  promised_edge_e4: Known<number>;
  realised_e4: Known<number>;
  slippage_e4: Known<number>;
  brier_e6: Known<number>;
  market_brier_e6: Known<number>;
  compared: number;
  watched_minutes: Known<number>;
}

export interface DayCards {
  mode: string;
  days: DayCard[];
  total: DayCard;
  shadow: Known<string>;
}

export interface Statistics {
  trades: number;
  wins: number;
  losses: number;
  win_rate_e6: Known<number>;
  break_even_e6: Known<number>;
  predicted_e6: Known<number>;
  pnl_usd_e6: number;
  fees_usd_e6: number;
  expectancy_usd_e6: Known<number>;
  profit_factor_e6: Known<number>;
  max_drawdown_usd_e6: number;
  return_e6: Known<number>;
  calibration: { from_e6: number; trades: number; predicted_e6: number; won_e6: number }[];
}
