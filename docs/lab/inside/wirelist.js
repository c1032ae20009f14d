// The wires beside the grid: those of one node as switches, and what the colours mean.

import { el, toggle } from "../page/ui.js";
import { incoming, kind, nodeText, position } from "./wires.js";

// The wires that the chosen node reads, as switches: the keyboard's way to cut them.
export function wirePanel(facts, onFlip, emphasise) {
  const legend = el("legend");
  const list = el("div");
  let toggles = [];
  const whence = { down: "from above, halved", skip: "along the row", up: "from below, enlarged" };
  return {
    element: el("fieldset", { className: "lab-wires" }, legend, list),
    show(node, gates) {
      const read = incoming(facts.wires, node);
      legend.textContent = `Wires that ${nodeText(position(node))} reads`;
      toggles = read.map((wire) => {
        const label = `${nodeText(wire.source)}, ${whence[kind(wire)]}`;
        const one = toggle({ label, value: Boolean(gates[wire.number]), onChange: () => onFlip(wire.number) });
        one.element.dataset.toggle = wire.number;
        for (const event of ["pointerenter", "focusin"]) one.element.addEventListener(event, () => emphasise({ wire: wire.number }));
        for (const event of ["pointerleave", "focusout"]) one.element.addEventListener(event, () => emphasise({}));
        return { ...wire, one };
      });
      list.replaceChildren(...toggles.map(({ one }) => one.element));
      if (!read.length) list.textContent = "None: it reads the frame itself.";
    },
    set(gates) {
      for (const { number, one } of toggles) one.set(Boolean(gates[number]));
    },
  };
}

export function wireKey() {
  const one = (kind, text) => el("span", { className: `lab-${kind}` }, text);
  return el(
    "p",
    { className: "lab-key lab-wire-key" },
    one("down", "down the encoder"),
    one("skip", "along a row"),
    one("up", "up, enlarged"),
  );
}
