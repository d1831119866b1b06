// Settings of automation: they move inside the bounds of the account's resource.

import { useState } from "preact/hooks";
import { api, Refused } from "./api";
import { desk } from "./desk";
import { Modal } from "./modal";
import { clock } from "./format";
import { useStore } from "./store";

type Path = [string, ...string[]];

interface Field {
  path: Path;
  label: string;
  unit: string;
  /** shown value = stored value / scale */
  scale: number;
}

const GROUPS: [string, Field[]][] = [
  [
    "Automatic entry",
    [
      { path: ["autoEntry", "enabled"], label: "On", unit: "", scale: 0 },
      { path: ["autoEntry", "minProbabilityPermille"], label: "Probability at least", unit: "%", scale: 10 },
      { path: ["autoEntry", "minNetEdgeBasisPoints"], label: "Edge after fees at least", unit: "¢", scale: 100 },
      { path: ["autoEntry", "maxSecondsToClose"], label: "From, before the close", unit: "s", scale: 1 },
      { path: ["autoEntry", "minSecondsToClose"], label: "Until, before the close", unit: "s", scale: 1 },
      { path: ["autoEntry", "minVolumeContracts"], label: "Volume at least", unit: "ct", scale: 1 },
      { path: ["autoEntry", "cooldownSeconds"], label: "Pause after an attempt", unit: "s", scale: 1 },
      { path: ["autoEntry", "allowReentry"], label: "Enter the same strike again", unit: "", scale: 0 },
      { path: ["sizing", "contracts"], label: "Contracts an entry", unit: "ct", scale: 1 },
    ],
  ],
  [
    "Spike alert pauses entries",
    [
      { path: ["spikeAlert", "enabled"], label: "On", unit: "", scale: 0 },
      { path: ["spikeAlert", "enterBasisPoints"], label: "Momentum beyond ±", unit: "", scale: 1 },
      { path: ["spikeAlert", "leaveBasisPoints"], label: "Calm within ±", unit: "", scale: 1 },
      { path: ["spikeAlert", "cooldownMinutes"], label: "Calm for", unit: "min", scale: 1 },
    ],
  ],
  [
    "Automatic stop",
    [
      { path: ["autoStop", "probability", "enabled"], label: "By probability", unit: "", scale: 0 },
      { path: ["autoStop", "probability", "belowPermille"], label: "Below", unit: "%", scale: 10 },
      { path: ["autoStop", "probability", "verifySeconds"], label: "Staying below for", unit: "s", scale: 1 },
      { path: ["autoStop", "probability", "minSecondsToClose"], label: "Not in the last", unit: "s", scale: 1 },
      { path: ["autoStop", "momentum", "enabled"], label: "By momentum", unit: "", scale: 0 },
      { path: ["autoStop", "momentum", "thresholdBasisPoints"], label: "Against us beyond", unit: "", scale: 1 },
    ],
  ],
];

type Edits = Record<string, number | boolean>;

export function SettingsDialog() {
  const store = useStore();
  const settings = store.settings;
  const account = store.view.account;
  const [edits, setEdits] = useState<Edits>({});
  const [problem, setProblem] = useState("");
  if (settings === undefined || account === null) return null;
  const isEdited = Object.keys(edits).length > 0;
  return (
    <Modal title={`Automation of ${account}`} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isEdited) {
            desk.open(null);
            return;
          }
          api.saveSettings(account, nested(edits)).then(
            () => {
              desk.tell("Settings saved.", "good");
              desk.open(null);
            },
            (error: Refused) => setProblem(error.message),
          );
        }}
      >
        <p class="dim">
          {settings.strategy_name} · model {settings.model}. Within the bounds of the account's resource; in force at once.
          {settings.changed_at_us !== null && ` Last changed by ${settings.author} at ${clock(settings.changed_at_us)}.`}
        </p>
        <div class="setting-groups">
          {GROUPS.map(([title, fields]) => (
            <fieldset key={title}>
              <legend>{title}</legend>
              {fields.map((field) => (
                <Setting
                  key={field.path.join(".")}
                  field={field}
                  value={edits[field.path.join(".")] ?? read(settings.strategy, field.path)}
                  bounds={settings.bounds[`strategy.${field.path.join(".")}`]}
                  isOverridden={read(settings.overrides["strategy"], field.path) !== undefined}
                  onChange={(value) => setEdits({ ...edits, [field.path.join(".")]: value })}
                />
              ))}
            </fieldset>
          ))}
        </div>
        {problem && <p class="bad" role="alert">{problem}</p>}
        <div class="actions">
          <button type="button" class="quiet" onClick={() => desk.open(null)}>
            Cancel <kbd>Esc</kbd>
          </button>
          <button type="submit" class="primary" disabled={!isEdited}>
            Save <kbd>Enter</kbd>
          </button>
        </div>
      </form>
    </Modal>
  );
}

function Setting(props: {
  field: Field;
  value: unknown;
  bounds: { min?: number; max?: number } | undefined;
  isOverridden: boolean;
  onChange: (value: number | boolean) => void;
}) {
  const { field, bounds } = props;
  const mark = props.isOverridden ? <abbr title="Changed on this page; the resource says something else">✎</abbr> : null;
  if (field.scale === 0) {
    return (
      <label class="setting check">
        <input type="checkbox" role="switch" checked={props.value === true} onChange={(event) => props.onChange(event.currentTarget.checked)} />
        {field.label} {mark}
      </label>
    );
  }
  return (
    <label class="setting">
      <span>
        {field.label} {mark}
      </span>
      <input
        type="number"
        class="num"
        value={Number(props.value) / field.scale}
        min={bounds?.min === undefined ? undefined : bounds.min / field.scale}
        max={bounds?.max === undefined ? undefined : bounds.max / field.scale}
        step={1 / field.scale}
        onInput={(event) => {
          const value = Math.round(Number(event.currentTarget.value) * field.scale);
          if (event.currentTarget.value !== "" && Number.isFinite(value)) props.onChange(value);
        }}
      />
      <span class="dim">{field.unit}</span>
    </label>
  );
}

function read(from: unknown, path: readonly string[]): unknown {
  let found = from;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

function nested(edits: Edits): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(edits)) {
    const names = path.split(".");
    let part = made;
    for (const name of names.slice(0, -1)) part = (part[name] ??= {}) as Record<string, unknown>;
    part[names[names.length - 1] ?? ""] = value;
  }
  return made;
}
