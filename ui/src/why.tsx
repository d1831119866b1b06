// The chain of one trade, or of one refused wish: as `recio trace` prints it.

import { useEffect, useState } from "preact/hooks";
import { api, Refused } from "./api";
import { desk } from "./desk";
import { Modal } from "./modal";
import { age, cents, clock, edge, percent, price } from "./format";
import type { Chain, ChainStep } from "./wire";

const NAMES: Record<string, string> = {
  decision: "Seen",
  intent: "Wished",
  audit: "State",
  "order event": "Order",
  fill: "Filled",
  settlement: "Settled",
  posting: "Booked",
};

export function WhyDialog(props: { id: string; title: string }) {
  const [chain, setChain] = useState<Chain | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    api.trace(props.id).then(setChain, (error: Refused) => setProblem(error.message));
  }, [props.id]);
  const first = chain?.steps[0]?.at_us ?? 0;
  const market = chain?.steps.map((step) => step.fields["market_ticker"]).find((name) => typeof name === "string");
  return (
    <Modal title={props.title} wide>
      {problem && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
      {chain && (
        <ol class="chain">
          {chain.steps.map((step, index) => (
            <Step key={index} step={step} first={first} market={market} />
          ))}
        </ol>
      )}
      <div class="actions">
        <button class="primary" autoFocus onClick={() => desk.open(null)}>
          Close
        </button>
      </div>
    </Modal>
  );
}

function Step(props: { step: ChainStep; first: number; market: unknown }) {
  const { step } = props;
  const fields = Object.entries(step.fields).filter(([name]) => name !== "body" && name !== "account");
  return (
    <li class={`step ${step.kind.replace(" ", "-")}`}>
      <time class="num">
        {clock(step.at_us)} <small class="dim">+{age(step.at_us - props.first)}</small>
      </time>
      <b>{NAMES[step.kind] ?? step.kind}</b>
      <details>
        <summary>
          {step.text}
          {step.kind === "decision" && <Judged body={step.fields["body"]} market={props.market} />}
        </summary>
        <dl>
          {fields.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      </details>
    </li>
  );
}

/** ticker, side, probability, ask, edge, volume, age of the book, the first rule that it failed */
type Strike = [string, string, number | null, number | null, number | null, number | null, number, string];

function Judged(props: { body: unknown; market: unknown }) {
  const body = (props.body ?? {}) as Record<string, unknown>;
  const strikes = (body["strikes"] ?? []) as Strike[];
  const mine = strikes.find((strike) => strike[0] === props.market);
  return (
    <span class="dim">
      {mine && ` · ${mine[1].toUpperCase()} ${percent(mine[2])}, ask ${cents(mine[3])}, edge ${edge(mine[4])}¢`}
      {typeof body["price_usd_e6"] === "number" && ` · price ${price(body["price_usd_e6"])}`}
      {body["momentum_bucket"] != null && ` · momentum bucket ${String(body["momentum_bucket"])}`}
      {strikes.length > 0 && ` · ${strikes.length} strikes judged`}
    </span>
  );
}
