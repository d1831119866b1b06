// What the exchange tells and is not believed: it holds the entries until a person has decided.

import { useEffect, useState } from "preact/hooks";
import { api } from "./api";
import { desk } from "./desk";
import { clock } from "./format";
import { useStore } from "./store";
import type { Dispute } from "./wire";

const BOOKS = "breaker:books";

export function Disputes() {
  const store = useStore();
  const account = store.view.account;
  const held = store.switches.find((row) => row.source === BOOKS && row.state !== "Active");
  const [rows, setRows] = useState<Dispute[]>([]);
  const changed = held?.changed_at_us;
  useEffect(() => {
    if (account === null || changed === undefined) return setRows([]);
    let isCurrent = true;
    api.disputes(account).then(
      (found) => isCurrent && setRows(found),
      (error: Error) => desk.tell(error.message, "bad"),
    );
    return () => {
      isCurrent = false;
    };
  }, [account, changed]);
  const open = rows.filter((row) => row.state === "open");
  if (account === null || open.length === 0) return null;
  return (
    <ul class="disputes sources-list" aria-label="What the exchange tells and is not believed">
      {open.map((row) => (
        <li key={row.dispute_id}>
          <b>{row.reason.replaceAll("_", " ")}</b> {row.explanation}
          <small>
            {" "}
            since {clock(row.opened_at_us)}
            {row.can_pass && " · ends by itself when both agree"}
          </small>
          <details>
            <summary>Evidence</summary>
            <pre>{JSON.stringify({ told: row.told, held: row.held }, null, 1)}</pre>
          </details>
          {row.can_accept && <Decide row={row} account={account} accept onDone={setRows} />}
          {row.can_discard && <Decide row={row} account={account} accept={false} onDone={setRows} />}
        </li>
      ))}
    </ul>
  );
}

function Decide(props: { row: Dispute; account: string; accept: boolean; onDone: (rows: Dispute[]) => void }) {
  const { row, account, accept } = props;
  const decide = () => {
    const question = accept
      ? `Book it as it was told?\n\n${row.explanation}`
      : `Leave it out of the books?\n\n${row.explanation}`;
    if (!window.confirm(question)) return;
    api.decide(account, row.dispute_id, accept).then(props.onDone, (error: Error) => desk.tell(error.message, "bad"));
  };
  return (
    <button class="quiet" onClick={decide}>
      {accept ? "Book it as told" : "Leave it out"}
    </button>
  );
}
