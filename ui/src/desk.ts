// What the person has open on this page: dialogs, messages, and the few things kept in the browser.

import { useEffect, useState } from "preact/hooks";
import type { Wish } from "./api";
import type { SwitchState } from "./wire";

export type Dialog =
  | { kind: "order"; wish: Wish }
  | { kind: "switch"; scope: string; state: SwitchState }
  | { kind: "settings" }
  | { kind: "why"; id: string; title: string }
  | { kind: "help" }
  | null;

export interface Message {
  id: number;
  text: string;
  tone: "good" | "bad" | "plain";
}

const KEPT = "recio.desk";

interface Kept {
  showsEdge: boolean;
  hasKeys: boolean;
}

function kept(): Kept {
  try {
    return { showsEdge: false, hasKeys: true, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return { showsEdge: false, hasKeys: true };
  }
}

class Desk {
  dialog: Dialog = null;
  messages: Message[] = [];
  polite = "";
  assertive = "";
  readonly kept: Kept = kept();
  private listeners = new Set<() => void>();
  private count = 0;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    this.listeners.forEach((listener) => listener());
  }

  open(dialog: Dialog): void {
    this.dialog = dialog;
    this.changed();
  }

  keep(change: Partial<Kept>): void {
    Object.assign(this.kept, change);
    localStorage.setItem(KEPT, JSON.stringify(this.kept));
    this.changed();
  }

  tell(text: string, tone: Message["tone"] = "plain"): void {
    this.count += 1;
    const id = this.count;
    this.messages = [...this.messages.slice(-3), { id, text, tone }];
    this.polite = text;
    this.changed();
    window.setTimeout(() => {
      this.messages = this.messages.filter((message) => message.id !== id);
      this.changed();
    }, 7000);
  }

  alarm(text: string): void {
    if (this.assertive === text) return;
    this.assertive = text;
    this.changed();
  }
}

export const desk = new Desk();

export function useDesk(): Desk {
  const [, set] = useState(0);
  useEffect(() => desk.subscribe(() => set((count) => count + 1)), []);
  return desk;
}
