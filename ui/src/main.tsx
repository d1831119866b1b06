import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { announceChanges } from "./announce";
import { api, Refused } from "./api";
import { AutomationPanel, SwitchPanel } from "./automation";
import { useDesk } from "./desk";
import { Dialogs } from "./dialogs";
import { age, countdown, price } from "./format";
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
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let timer = 0;
    const verify = () => {
      window.clearTimeout(timer);
      api.who().then(
        (who) => {
          setProblem("");
          setIn(who.name !== null);
        },
        (error: Refused) => {
          setProblem(error.message);
          timer = window.setTimeout(verify, 2000);
        },
      );
    };
    store.onRefused = verify;
    verify();
    return () => window.clearTimeout(timer);
  }, []);
  if (isIn === null) return <p class="boot">{problem || "Connecting…"}</p>;
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
  useTitle(live, mode);
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

/** What the tab says while another one is in front. */
function useTitle(live: typeof store, mode: string) {
  const left = live.event ? live.event.close_us - live.now() : 0;
  const text = live.isLive && live.event ? `${price(live.price?.index_usd_e6 ?? live.price?.spot_usd_e6)} · ${countdown(left)}` : "no data";
  const title = `${mode.toUpperCase()} · ${text} · REC.IO`;
  useEffect(() => {
    document.title = title;
  }, [title]);
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
