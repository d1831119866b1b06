// The page's state: the server's documents, kept in step by one WebSocket, and the server's clock.
//
// A snapshot replaces everything, a delta must carry the next seq. Silence of 2.5 s counts as a lost
// connection: the figures stay, dimmed and with their age, and the countdown stops. Nothing is kept
// over a reload.

import { useEffect, useState } from "preact/hooks";
import type {
  Account,
  Automation,
  Decision,
  Exchange,
  Health,
  Intent,
  Known,
  MarketEvent,
  Money,
  Point,
  Price,
  Row,
  Settings,
  Stop,
  Switch,
  Trade,
  Value,
  View,
} from "./wire";

const SILENCE_MS = 2500;
const HISTORY = 900;
const RETRY_MS = [300, 600, 1200, 2500, 5000];

type Link = "connecting" | "live" | "lost" | "refused";

interface Frame {
  t: "snapshot" | "delta";
  seq: number;
  now_us: number;
  speed_permille: number;
  documents: Record<string, unknown>;
  gone?: string[];
  view?: View;
  history?: Record<string, Point[]>;
}

class Store {
  link: Link = "connecting";
  view: View = { account: null, environment: "", event: null, model: "" };
  history: Record<string, Point[]> = {};
  frames = 0;
  private documents = new Map<string, unknown>();
  private seq = -1;
  private receivedMs = 0;
  private serverUs = 0;
  /** how much faster than the wall market time runs */
  speed = 1;
  private listeners = new Set<() => void>();
  private socket: WebSocket | null = null;
  private attempts = 0;
  private isPainting = false;
  private wanted: { account: Known<string>; event: Known<string> } = { account: null, event: null };
  private timers: number[] = [];
  onRefused: () => void = () => {};

  start(): void {
    this.open();
    this.timers.push(window.setInterval(() => this.watch(), 250));
  }

  stop(): void {
    this.timers.forEach((timer) => window.clearInterval(timer));
    this.timers = [];
    this.documents.clear();
    this.history = {};
    this.link = "connecting";
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The server's market time now; it stops half a beat after the last frame. */
  now(): number {
    const passed = Math.min(performance.now() - this.receivedMs, 1200);
    return this.serverUs + passed * 1000 * this.speed;
  }

  /** Wall milliseconds since the server last said anything. */
  silence(): number {
    return this.receivedMs === 0 ? 0 : performance.now() - this.receivedMs;
  }

  get isLive(): boolean {
    return this.link === "live";
  }

  get hasData(): boolean {
    return this.receivedMs !== 0;
  }

  look(account: Known<string>, event: Known<string>): void {
    this.wanted = { account, event };
    this.ask();
  }

  get<T>(key: string): T | undefined {
    return this.documents.get(key) as T | undefined;
  }

  under<T>(prefix: string): T[] {
    const found: T[] = [];
    for (const [key, value] of this.documents) {
      if (key.startsWith(prefix)) found.push(value as T);
    }
    return found;
  }

  private ask(): void {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ t: "view", ...this.wanted }));
    }
  }

  private open(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket = socket;
    let isOpened = false;
    socket.onopen = () => {
      isOpened = true;
      if (this.wanted.account !== null || this.wanted.event !== null) this.ask();
    };
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(JSON.parse(message.data as string) as Frame);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (this.timers.length === 0) return;
      if (this.link === "live") this.link = "lost";
      if (event.code === 4401 || !isOpened) this.onRefused();
      const wait = RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)] ?? 5000;
      this.attempts += 1;
      window.setTimeout(() => this.socket === null && this.timers.length && this.open(), wait);
      this.paint();
    };
  }

  private receive(frame: Frame): void {
    if (frame.t === "snapshot") {
      this.documents = new Map(Object.entries(frame.documents));
      if (frame.view) this.view = frame.view;
      this.history = frame.history ?? {};
    } else if (frame.seq !== this.seq + 1) {
      this.socket?.close();
      return;
    } else {
      for (const [key, value] of Object.entries(frame.documents)) this.documents.set(key, value);
      for (const key of frame.gone ?? []) this.documents.delete(key);
      this.follow(frame.documents);
    }
    this.seq = frame.seq;
    this.serverUs = frame.now_us;
    this.speed = frame.speed_permille / 1000;
    this.receivedMs = performance.now();
    this.link = "live";
    this.attempts = 0;
    this.frames += 1;
    this.paint();
  }

  private follow(documents: Record<string, unknown>): void {
    const prefix = `point/${this.view.environment}/`;
    for (const [key, value] of Object.entries(documents)) {
      if (!key.startsWith(prefix)) continue;
      const symbol = key.slice(prefix.length);
      const points = (this.history[symbol] ??= []);
      const point = value as Point;
      const last = points[points.length - 1];
      if (last !== undefined && last[0] >= point[0]) points[points.length - 1] = point;
      else points.push(point);
      if (points.length > HISTORY) points.splice(0, points.length - HISTORY);
    }
  }

  private watch(): void {
    if (this.link === "live" && this.silence() > SILENCE_MS) {
      this.link = "lost";
      this.socket?.close();
    }
    // The countdown and the ages move without frames.
    this.paint();
  }

  private paint(): void {
    if (this.isPainting) return;
    this.isPainting = true;
    const paint = () => {
      this.isPainting = false;
      this.listeners.forEach((listener) => listener());
    };
    if (document.hidden) window.setTimeout(paint, 200);
    else requestAnimationFrame(paint);
  }

  // What is looked at -------------------------------------------------------------------------

  get accounts(): Account[] {
    return this.get<Account[]>("accounts") ?? [];
  }

  get account(): Account | undefined {
    return this.accounts.find((item) => item.account === this.view.account);
  }

  get database(): { is_available: boolean; reason: string } | undefined {
    return this.get("database");
  }

  get exchange(): Exchange | undefined {
    return this.get(`exchange/${this.view.environment}/status`);
  }

  get events(): MarketEvent[] {
    return this.under<MarketEvent>(`event/${this.view.environment}/`).sort(
      (a, b) => a.close_us - b.close_us || a.event_ticker.localeCompare(b.event_ticker),
    );
  }

  get event(): MarketEvent | undefined {
    return this.get(`event/${this.view.environment}/${this.view.event}`);
  }

  get price(): Price | undefined {
    return this.get(`price/${this.view.environment}/${this.event?.symbol ?? "BTC"}`);
  }

  get points(): Point[] {
    return this.history[this.event?.symbol ?? "BTC"] ?? [];
  }

  get rows(): Row[] {
    const { environment, event, model } = this.view;
    return this.under<Row>(`row/${environment}/${event}/${model}/`).sort(
      (a, b) => a.strike_usd_e6 - b.strike_usd_e6,
    );
  }

  private own<T>(name: string): T | undefined {
    return this.get(`account/${this.view.account}/${name}`);
  }

  /** Whether all of the account has been read: what appears later has happened since. */
  get isWhole(): boolean {
    return this.own<boolean>("whole") === true;
  }

  get money(): Money | undefined {
    return this.own("money");
  }

  get automation(): Automation | null | undefined {
    return this.own("automation");
  }

  get decision(): Decision | null | undefined {
    return this.own("decision");
  }

  get switches(): Switch[] {
    return this.own("switches") ?? [];
  }

  /** Whether the switches have been read: without them nothing is known to be released. */
  get knowsSwitches(): boolean {
    return this.own("switches") !== undefined;
  }

  get settings(): Settings | undefined {
    return this.own("settings");
  }

  get trades(): Trade[] {
    return this.under<Trade>(`account/${this.view.account}/trade/`).sort((a, b) => b.number - a.number);
  }

  get intents(): Intent[] {
    return this.under<Intent>(`account/${this.view.account}/intent/`).sort((a, b) => b.at_us - a.at_us);
  }

  value(tradeId: string): Value | null | undefined {
    return this.own(`value/${tradeId}`);
  }

  stopOf(tradeId: string): Stop | undefined {
    return this.own(`stop/${tradeId}`);
  }

  get health(): Health[] {
    return this.under<Health>("health/");
  }
}

export const store = new Store();

/** Paint again with each frame of the server, at most once a display frame. */
export function useStore(): Store {
  const [, set] = useState(0);
  useEffect(() => store.subscribe(() => set((count) => count + 1)), []);
  return store;
}

export const FINAL = new Set(["closed", "settled", "abandoned"]);

export function isOver(trade: Trade): boolean {
  return FINAL.has(trade.state);
}

const STRICTNESS = ["Active", "NoNewEntries", "ReduceOnly", "Flatten", "Halted"];

/** The switch that counts: the strictest row of any source. */
export function strictest(rows: Switch[]): Switch["state"] {
  let found: Switch["state"] = "Active";
  for (const row of rows) {
    if (STRICTNESS.indexOf(row.state) > STRICTNESS.indexOf(found)) found = row.state;
  }
  return found;
}
