/** Draws the page from the state, again when something changed. */
import {render} from "./lit-html.js";

let draw = () => {};
let due = false;

/** Show what `view()` gives inside `root`. */
export function start(view, root) {
  draw = () => render(view(), root);
  root.replaceChildren();
  draw();
}

/** The state changed: draw once for all the changes of this turn. */
export function changed() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    draw();
  });
}

/** After the next drawing. */
export const drawn = () =>
  new Promise(resolve => {
    changed();
    queueMicrotask(() => queueMicrotask(resolve));
  });
