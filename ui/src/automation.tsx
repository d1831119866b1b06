// What automation does and why not, and the switches that hold it.

import { desk } from "./desk";
import { Disputes } from "./disputes";
import { age, clock, countdown, say } from "./format";
import { strictest, useStore } from "./store";
import type { Decision, Switch, SwitchState } from "./wire";

const TONE: Record<string, string> = { ACTIVE: "good", INACTIVE: "warn", PAUSED: "bad", DISABLED: "idle" };

export function AutomationPanel() {
  const store = useStore();
  const automation = store.automation;
  const status = automation?.status ?? (automation === undefined ? "–" : "UNKNOWN");
  const body = (automation?.body ?? {}) as { reason?: string; paused_until_us?: number | null };
  const until = body.paused_until_us;
  return (
    <section class="panel automation" aria-labelledby="automation-title">
      <h2 id="automation-title">
        Automation
        <button class="quiet" onClick={() => desk.open({ kind: "settings" })} data-key="settings">
          Settings
        </button>
      </h2>
      <p class="status-line">
        <strong class={`status ${TONE[status] ?? "idle"}`}>
          <i aria-hidden="true" />
          {status}
        </strong>
        <span class="status-why">
          {say(body.reason ?? "")}
          {status === "PAUSED" && until != null && ` · ${countdown(until - store.now())} left`}
          {status === "PAUSED" && until == null && " · not calm yet"}
        </span>
      </p>
      <Summary />
      <Gates decision={store.decision} />
    </section>
  );
}

function Summary() {
  const store = useStore();
  const strategy = store.settings?.strategy;
  if (strategy === undefined) return null;
  const entry = strategy["autoEntry"] as Record<string, number | boolean>;
  const sizing = strategy["sizing"] as Record<string, number | string>;
  const stops = strategy["autoStop"] as Record<string, Record<string, number | boolean>>;
  const probability = stops["probability"] ?? {};
  const spike = stops["momentum"] ?? {};
  return (
    <p class="summary num">
      {entry["enabled"] ? "Enter" : "Entry off · would enter"} ≥ {Number(entry["minProbabilityPermille"]) / 10}% · edge ≥{" "}
      {Number(entry["minNetEdgeBasisPoints"]) / 100}¢ · {countdown(Number(entry["maxSecondsToClose"]) * 1e6)}–
      {countdown(Number(entry["minSecondsToClose"]) * 1e6)} before close · {sizing["contracts"]} ct
      <br />
      Stop{" "}
      {probability["enabled"] ? `< ${Number(probability["belowPermille"]) / 10}% for ${probability["verifySeconds"]} s` : "by probability off"}
      {" · "}
      {spike["enabled"] ? `momentum ±${spike["thresholdBasisPoints"]}` : "by momentum off"}
    </p>
  );
}

function Gates(props: { decision: Decision | null | undefined }) {
  const store = useStore();
  const { decision } = props;
  if (!decision) return <p class="dim small">No decision has been recorded yet.</p>;
  if (decision.gate !== "") {
    return (
      <p class="small dim">
        No strike is judged since {clock(decision.at_us)}: {say(decision.gate)}.
      </p>
    );
  }
  const entries = Object.entries(decision.gates).sort((a, b) => b[1] - a[1]);
  const total = entries.reduce((sum, [, count]) => sum + count, 0);
  return (
    <div class="gates">
      <p class="small dim">
        Last judged {age(store.now() - decision.at_us)} ago: {total} strikes, stopped first by
      </p>
      <ul>
        {entries.slice(0, 6).map(([gate, count]) => (
          <li key={gate} class={gate === "bought" ? "good" : ""}>
            <span>{gate === "bought" ? "bought" : say(gate)}</span>
            <span class="gate-bar" aria-hidden="true">
              <span style={{ width: `${(100 * count) / Math.max(total, 1)}%` }} />
            </span>
            <b class="num">{count}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}

const STATES: [SwitchState, string][] = [
  ["Active", "Trade"],
  ["NoNewEntries", "No entries"],
  ["ReduceOnly", "Reduce only"],
  ["Halted", "Halt"],
  ["Flatten", "Flatten"],
];

export function SwitchPanel() {
  const store = useStore();
  const rows = store.switches;
  const effective = strictest(rows);
  const account = store.view.account;
  const others = rows.filter((row) => row.source !== "person" && row.state !== "Active");
  const own = rows.filter((row) => row.source === "person" && row.state !== "Active");
  return (
    <section class="panel switches" aria-labelledby="switch-title">
      <h2 id="switch-title">
        Switches
        <span class={`effective ${!store.knowsSwitches ? "dim" : effective === "Active" ? "good" : "bad"}`}>
          {!store.knowsSwitches ? "unknown" : effective === "Active" ? "Trading" : say(effective)}
        </span>
      </h2>
      {account !== null && <Segments scope={account} label="This account" rows={rows} />}
      <Segments scope="*" label="All accounts" rows={rows} />
      <ul class="sources-list">
        {[...own, ...others].map((row) => (
          <li key={`${row.scope} ${row.source}`}>
            <b>{say(row.state)}</b> {row.scope === "*" ? "all accounts" : ""} by {sourceName(row)}
            <small>
              {" "}
              {row.reason} · {clock(row.changed_at_us)}
              {row.source !== "person" && " · released only there"}
            </small>
          </li>
        ))}
        {own.length + others.length === 0 && (
          <li class="dim">{store.knowsSwitches ? "Nothing holds trading back." : "Not read yet."}</li>
        )}
      </ul>
      <Disputes />
    </section>
  );
}

function sourceName(row: Switch): string {
  if (row.source === "person") return row.author;
  if (row.source === "resource") return "the account's resource";
  if (row.source === "fleet") return "the fleet's resource";
  return row.source.replace("breaker:", "breaker ");
}

function Segments(props: { scope: string; label: string; rows: Switch[] }) {
  const own = props.rows.find((row) => row.scope === props.scope && row.source === "person")?.state ?? "Active";
  return (
    <div class="segments" role="group" aria-label={`Your switch: ${props.label}`}>
      <span>{props.label}</span>
      {STATES.map(([state, name]) => (
        <button
          key={state}
          aria-pressed={own === state}
          class={`segment ${state}`}
          onClick={() => own !== state && desk.open({ kind: "switch", scope: props.scope, state })}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
