/** Remarks: quiet ones, and faults with a sign beside their words. */
import {icons} from "./icons.js";
import {html, nothing} from "./lit-html.js";

export const quiet = text => html`<p class="quiet">${text}</p>`;

export const note = text => html`<p class="note" role="status">${text}</p>`;

/** A fault, and what may be pressed about it; nothing where there is none. */
export const fault = (text, remedy = nothing) =>
  text ? html`<p class="note fault" role="alert">${icons.fault} <span>${text}</span> ${remedy}</p>` : nothing;
