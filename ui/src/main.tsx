import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { announceChanges } from "./announce";
import { api, Refused } from "./api";
import { AutomationPanel, SwitchPanel } from "./automation";
import { useDesk } from "./desk";
import { Dialogs } from "./dialogs";
import { age } from "./format";
import { ModeBanner, Tiles } from "./header";
import { listenForKeys } from "./keys";
import { LadderPanel } from "./ladder";
import { BottomPanel } from "./ledger";
import { Login } from "./login";
import { MomentumPanel, PricePanel } from "./price";
import { store, useStore } from "./store";
import { TradesPanel } from "./trades";

function App() {
  const [isIn, setIn] = useState<boolean | null>(null);
  const verify = () =>
    api.who().then(
      () => setIn(true),
      (error: Refused) => error.status === 401 && setIn(false),
    );
  useEffect(() => {
    void verify();
    store.onRefused = () => void verify();
  }, []);
  if (isIn === null) return <p class="boot">Connecting…</p>;
  return isIn ? <Desk /> : <Login onIn={() => setIn(true)} />;
}

function Desk() {
  const live = useStore();
  useEffect(() => {
    store.start();
    const unlisten = [listenForKeys(), announceChanges(store)];
    return () => {
      unlisten.forEach((end) => end());
      store.stop();
    };
  }, []);
  const mode = live.account?.mode ?? "none";
  return (
    <div class={`desk mode-edge-${mode} ${live.isLive ? "" : "is-stale"}`}>
      <ModeBanner />
      <StaleBanner />
      <Tiles />
      <main class="main">
        <div class="left-column">
          <PricePanel />
          <MomentumPanel />
        </div>
        <LadderPanel />
        <div class="right-column">
          <AutomationPanel />
          <TradesPanel />
          <SwitchPanel />
        </div>
        <BottomPanel />
      </main>
      <Dialogs />
      <Messages />
    </div>
  );
}

function StaleBanner() {
  const live = useStore();
  if (live.isLive) return null;
  return (
    <p class="stale" role="alert">
      {live.hasData
        ? `Connection lost ${age(live.silence() * 1000)} ago. Figures are old; trading goes on without this page. Reconnecting…`
        : "Connecting…"}
    </p>
  );
}

function Messages() {
  const state = useDesk();
  return (
    <>
      <div class="messages">
        {state.messages.map((message) => (
          <p key={message.id} class={message.tone}>
            {message.text}
          </p>
        ))}
      </div>
      <p class="hidden" aria-live="polite">
        {state.polite}
      </p>
      <p class="hidden" role="alert" aria-live="assertive">
        {state.assertive}
      </p>
    </>
  );
}

const root = document.getElementById("app");
if (root) render(<App />, root);
