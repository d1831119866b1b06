// The price that settles, the price that is traded, what lies between, and where it has been going.

import { Chart } from "./chart";
import { age, momentum, price, sign, usd } from "./format";
import { useStore } from "./store";
import type { Known, Point } from "./wire";

const LOOKBACKS = ["1m", "2m", "3m", "4m", "15m", "30m"];
const AXIS_E6 = 500_000;

export function PricePanel() {
  const store = useStore();
  const known = store.price;
  const points = store.points;
  const main = known?.index_usd_e6 ?? known?.spot_usd_e6 ?? null;
  const label = known?.index_usd_e6 != null ? "Index" : "Spot";
  const inWindow = (known?.window_count ?? 0) > 0;
  return (
    <section class="panel price" aria-labelledby="price-title">
      <h2 id="price-title">
        {store.event?.symbol ?? "BTC"} <small>{label}, what the event settles on</small>
      </h2>
      <div class="big num" data-testid="price">
        <Ticking value={main} />
      </div>
      <dl class="pairs">
        <div>
          <dt>Spot</dt>
          <dd class="num">{price(known?.spot_usd_e6)}</dd>
        </div>
        <div>
          <dt>Basis</dt>
          <dd class={`num ${sign(known?.basis_usd_e6)}`}>{usd(known?.basis_usd_e6, true)}</dd>
        </div>
        <div title={inWindow ? "The settlement mean so far" : "Mean of the last 60 index seconds"}>
          <dt>{inWindow ? `Settling ${known?.window_count}/60` : "60 s mean"}</dt>
          <dd class="num">{price(inWindow ? known?.window_average_usd_e6 : known?.trailing_average_usd_e6)}</dd>
        </div>
      </dl>
      <Changes points={points} />
      <Chart
        label={`Price of the last quarter of an hour, now ${price(main)}`}
        times={points.map((point) => point[0] / 1e6)}
        values={points.map((point) => point[1] / 1e6)}
        stroke="#7cc4ff"
        fill="rgba(124,196,255,0.08)"
        format={(value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 })}
      />
      <ul class="sources" aria-label="Price sources">
        {(known?.sources ?? []).map(([name, value, at, isFresh]) => (
          <li key={name} class={isFresh ? "" : "bad"}>
            {name} <span class="num">{price(value)}</span> <small>{isFresh ? age(store.now() - at) : "stale"}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Ticking(props: { value: Known<number> }) {
  const text = price(props.value);
  const dot = text.indexOf(".");
  if (dot < 0) return <span>{text}</span>;
  return (
    <span>
      <span class="dim">$</span>
      {text.slice(0, dot)}
      <small>{text.slice(dot)}</small>
    </span>
  );
}

function Changes(props: { points: Point[] }) {
  const { points } = props;
  const last = points[points.length - 1];
  return (
    <p class="chips">
      {[1, 5, 15].map((minutes) => {
        const past = last && points.find((point) => point[0] >= last[0] - minutes * 60e6);
        const isThere = last && past && last[0] - past[0] >= minutes * 60e6 * 0.9;
        const change = isThere ? ((last[1] - past[1]) / past[1]) * 100 : null;
        return (
          <span key={minutes} class={`chip num ${sign(change)}`}>
            {minutes}m {change === null ? "–" : `${change > 0 ? "▲" : change < 0 ? "▼" : ""} ${Math.abs(change).toFixed(2)}%`}
          </span>
        );
      })}
    </p>
  );
}

export function MomentumPanel() {
  const store = useStore();
  const event = store.event;
  const known = event?.momentum;
  const score = known?.score_e6 ?? null;
  const points = store.points.filter((point) => point[2] !== null).slice(-300);
  const alert = store.settings?.strategy["spikeAlert"] as { enterBasisPoints?: number } | undefined;
  return (
    <section class="panel momentum" aria-labelledby="momentum-title">
      <h2 id="momentum-title">
        Momentum
        {known && !known.is_complete && <small class="warn">a look-back is missing</small>}
      </h2>
        <div class={`score num ${sign(score)}`} title="Weighted change, hundredths of a percent">
          {momentum(score)}
          <small>
            bucket {known?.bucket ?? "–"}
            {alert?.enterBasisPoints !== undefined && ` · alarm ±${alert.enterBasisPoints}`}
          </small>
        </div>
        <ul class="deltas" aria-label="Change over each look-back, hundredths of a percent">
          {LOOKBACKS.map((name, index) => (
            <Delta key={name} name={name} value={known?.deltas_e6[index] ?? null} />
          ))}
        </ul>
      <Chart
        label={`Momentum, now ${momentum(score)}`}
        times={points.map((point) => point[0] / 1e6)}
        values={points.map((point) => (point[2] ?? 0) / 10_000)}
        stroke="#c9a6ff"
        around={20}
        format={(value) => String(Math.round(value))}
      />
    </section>
  );
}

function Delta(props: { name: string; value: Known<number> }) {
  const { value } = props;
  const share = value === null ? 0 : Math.min(1, Math.abs(value) / AXIS_E6);
  const height = `${Math.round(share * 50)}%`;
  return (
    <li>
      <span class="delta-box" aria-hidden="true">
        <span class={`delta-bar ${sign(value)}`} style={value !== null && value < 0 ? { top: "50%", height } : { bottom: "50%", height }} />
      </span>
      <span class={`num ${sign(value)}`}>{momentum(value)}</span>
      <small>{props.name}</small>
    </li>
  );
}
