// Dialogs: an order's preview, a switch, settings, why a trade was made, the keys.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, Refused, type Wish } from "./api";
import { desk, useDesk } from "./desk";
import { cents, contracts, edge, percent, say, moneySign, sign, usd } from "./format";
import { shortTicker } from "./ledger";
import { Modal } from "./modal";
import { SettingsDialog } from "./settings";
import { useStore } from "./store";
import type { Preview, SwitchState } from "./wire";
import { WhyDialog } from "./why";

export function Dialogs() {
  const { dialog } = useDesk();
  switch (dialog?.kind) {
    case "order":
      return <OrderDialog key={`${dialog.wish.market_ticker} ${dialog.wish.side}`} wish={dialog.wish} />;
    case "switch":
      return <SwitchDialog key={`${dialog.scope} ${dialog.state}`} scope={dialog.scope} state={dialog.state} />;
    case "settings":
      return <SettingsDialog />;
    case "why":
      return <WhyDialog key={dialog.id} id={dialog.id} title={dialog.title} />;
    case "help":
      return <HelpDialog />;
    default:
      return null;
  }
}

function OrderDialog(props: { wish: Wish }) {
  const store = useStore();
  const [quantity, setQuantity] = useState(props.wish.qty_e2);
  const [slippage, setSlippage] = useState(props.wish.slippage_e4);
  const [preview, setPreview] = useState<Preview | null>(null);
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  const isEntry = props.wish.purpose === "entry";
  const wish = { ...props.wish, qty_e2: quantity, slippage_e4: slippage };
  const latest = useRef(0);

  const look = () => {
    latest.current += 1;
    const mine = latest.current;
    setProblem("");
    api.preview(wish).then(
      (made) => mine === latest.current && setPreview(made),
      (error: Refused) => {
        if (mine !== latest.current) return;
        setPreview(null);
        setProblem(error.message);
      },
    );
  };
  useEffect(look, [quantity, slippage]);

  const isFresh = preview !== null && preview.qty_e2 === quantity;
  const send = () => {
    if (preview === null || !isFresh || isSending) return;
    setSending(true);
    api.confirm(wish, preview.limit_price_e4, preview.idempotency_key).then(
      () => {
        desk.tell(
          `${isEntry ? "Entry" : "Close"} handed to the gate: ${contracts(quantity)} ${wish.side.toUpperCase()} ${shortTicker(wish.market_ticker)}`,
        );
        desk.open(null);
      },
      (error: Refused) => {
        setSending(false);
        setProblem(`Not confirmed: ${error.message} Enter tries the same order again, never a second one.`);
      },
    );
  };

  const row = store.rows.find((item) => item.ticker === wish.market_ticker);
  const live = row === undefined ? null : isEntry ? row[wish.side][1] : row[wish.side][0];
  const mode = store.account?.mode ?? "paper";
  const isWorse = preview !== null && live !== null && (isEntry ? live > preview.limit_price_e4 : live < preview.limit_price_e4);
  const verb = isEntry ? "Buy" : "Sell";
  return (
    <Modal title={`${verb} ${wish.side.toUpperCase()} ${shortTicker(wish.market_ticker)}`} tone={`order mode-edge-${mode}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <p class="order-mode">
          <b class={`mode-tag mode-${mode}`}>{mode.toUpperCase()}</b> {wish.account} · {wish.market_ticker}
        </p>
        <div class="order-fields">
          <label>
            Contracts
            <input
              type="number"
              inputMode="numeric"
              min={1}
              max={isEntry ? 10000 : props.wish.qty_e2 / 100}
              step={isEntry || props.wish.qty_e2 % 100 === 0 ? 1 : 0.01}
              value={quantity / 100}
              autoFocus
              onInput={(event) => {
                const count = Math.round(Number(event.currentTarget.value) * 100);
                if (count > 0 && (isEntry || count <= props.wish.qty_e2)) setQuantity(count);
              }}
            />
          </label>
          {isEntry && (
            <div class="times" role="group" aria-label="Multiple of the usual size">
              {[1, 2, 3].map((times) => (
                <button
                  type="button"
                  key={times}
                  aria-pressed={quantity === props.wish.qty_e2 * times}
                  onClick={() => setQuantity(props.wish.qty_e2 * times)}
                >
                  {times}×
                </button>
              ))}
            </div>
          )}
          <label>
            {isEntry ? "At most above the ask" : "At most below the bid"}
            <select value={slippage} onChange={(event) => setSlippage(Number(event.currentTarget.value))}>
              {[0, 100, 200, 500, 1000].map((ticks) => (
                <option key={ticks} value={ticks}>
                  {ticks / 100}¢
                </option>
              ))}
            </select>
          </label>
        </div>
        <dl class="ticket num">
          <Line name={isEntry ? "Ask now" : "Bid now"} value={cents(live)} note={preview ? `${contracts(preview.available_e2)} there` : ""} tone={isWorse ? "down" : ""} />
          <Line name="Limit" value={cents(preview?.limit_price_e4)} note={isEntry ? "never more" : "never less"} />
          <Line name={isEntry ? "Cost, at most" : "Proceeds, at least"} value={usd(preview ? Math.abs(preview.cost_usd_e6) : null)} note={`fee ${usd(preview?.fee_usd_e6)}`} />
          <Line name={isEntry ? "Worst case" : "Result at the limit"} value={usd(preview?.worst_usd_e6, true)} tone={moneySign(preview?.worst_usd_e6)} note={isEntry ? "all of it and the fees" : "after fees"} />
          {isEntry && <Line name="Best case" value={usd(preview?.best_usd_e6, true)} tone={moneySign(preview?.best_usd_e6)} note="if it settles your way" />}
          {isEntry && <Line name="Model" value={percent(preview?.p_e6)} note={`breaks even at ${percent(preview?.break_even_e6)}`} />}
          {isEntry && <Line name="Edge at the limit" value={preview?.edge_e4 == null ? "–" : `${edge(preview.edge_e4)}¢`} tone={sign(preview?.edge_e4)} note="a contract, after fees" />}
        </dl>
        <div aria-live="polite" class="order-notes">
          {isWorse && <p class="warn">The market has moved beyond this limit: nothing would be filled now.</p>}
          {preview?.refusals.map((text) => (
            <p key={text} class="bad">
              The gate would refuse: {text}
            </p>
          ))}
          {problem && <p class="bad">{problem}</p>}
        </div>
        <div class="actions">
          <button type="button" class="quiet" onClick={() => desk.open(null)}>
            Cancel <kbd>Esc</kbd>
          </button>
          <button type="button" class="quiet" onClick={look}>
            Look again
          </button>
          <button type="submit" class={`primary ${wish.side}`} disabled={!isFresh || isSending || !store.isLive}>
            {isSending ? "Sending…" : `${verb} ${contracts(quantity)} ${wish.side.toUpperCase()}`} <kbd>Enter</kbd>
          </button>
        </div>
      </form>
    </Modal>
  );
}

function Line(props: { name: string; value: string; note?: string; tone?: string }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd class={props.tone}>{props.value}</dd>
      <dd class="dim">{props.note}</dd>
    </div>
  );
}

const EFFECT: Record<SwitchState, string> = {
  Active: "Releases your own switch. What other sources hold stays held.",
  NoNewEntries: "No new positions. Exits, stops and cancels go on.",
  ReduceOnly: "Only orders that reduce what is held. Resting entries stay until they expire.",
  Halted: "Cancels everything that rests and lets nothing out. Only your own closes still go.",
  Flatten: "Closes everything at once at the prices there are, until flat, and lets no entry out.",
};

function SwitchDialog(props: { scope: string; state: SwitchState }) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState("");
  const isRelease = props.state === "Active";
  const whom = props.scope === "*" ? "all accounts" : props.scope;
  const title = isRelease ? `Release ${whom}` : `${say(props.state)}: ${whom}`;
  return (
    <Modal title={title} tone={isRelease ? "" : "danger"}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          api.setSwitch(props.scope, props.state, reason).then(
            () => desk.open(null),
            (error: Refused) => setProblem(error.message),
          );
        }}
      >
        <p>{EFFECT[props.state]}</p>
        <label class="field">
          Reason <span class="dim">(optional, kept in the audit)</span>
          <input type="text" maxLength={200} value={reason} autoFocus onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        {problem && <p class="bad" role="alert">{problem}</p>}
        <div class="actions">
          <button type="button" class="quiet" onClick={() => desk.open(null)}>
            Cancel <kbd>Esc</kbd>
          </button>
          <button type="submit" class={isRelease ? "primary" : "primary danger"}>
            {isRelease ? "Release" : say(props.state)} <kbd>Enter</kbd>
          </button>
        </div>
      </form>
    </Modal>
  );
}

export const KEYS: [string, string][] = [
  ["?", "these keys"],
  ["h", "halt this account, or release your halt"],
  ["n", "no new entries"],
  ["r", "reduce only"],
  ["f", "flatten this account"],
  ["e", "ask or edge in the strike table"],
  ["↑ ↓", "choose a strike (in the table)"],
  ["y / x", "buy YES / NO of the chosen strike"],
  ["1 … 9", "close the first, second … open trade"],
  ["w", "why the newest trade was made"],
  ["s", "settings of automation"],
  ["a", "choose the account"],
  ["Enter / Esc", "confirm / cancel in a dialog"],
];

function HelpDialog() {
  const state = useDesk();
  return (
    <Modal title="Keys">
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={state.kept.hasKeys} onChange={(event) => desk.keep({ hasKeys: event.currentTarget.checked })} />
        Single keys are on
      </label>
      <div class="actions">
        <button class="primary" autoFocus onClick={() => desk.open(null)}>
          Close
        </button>
      </div>
    </Modal>
  );
}
