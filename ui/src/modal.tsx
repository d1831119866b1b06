// The frame of every dialog: opens at once, closes with Esc or a click beside it.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { desk } from "./desk";

export function Modal(props: { title: string; tone?: string; wide?: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  // Before the next key can come: Enter belongs to the dialog, not to the button that opened it.
  useLayoutEffect(() => {
    const dialog = box.current;
    if (dialog !== null && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      class={`modal ${props.tone ?? ""} ${props.wide ? "is-wide" : ""}`}
      aria-labelledby="modal-title"
      onCancel={(event) => {
        event.preventDefault();
        desk.open(null);
      }}
      onClick={(event) => event.target === box.current && desk.open(null)}
    >
      <div class="modal-body">
        <h2 id="modal-title">{props.title}</h2>
        {props.children}
      </div>
    </dialog>
  );
}
