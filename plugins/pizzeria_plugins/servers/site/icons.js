/** Small drawings; each stands beside a word, so that it may be silent for those who hear the page. */
import {html, svg} from "./lit-html.js";

const icon = drawing => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${drawing}</svg>`;

export const icons = {
  confirmed: icon(svg`<circle cx="8" cy="8" r="7" /><path d="M4.8 8.3 7 10.5l4.2-4.8" />`),
  uncertain: icon(
    svg`<circle cx="8" cy="8" r="7" /><path d="M5.9 6.3a2.1 2.1 0 1 1 3 1.9c-.6.3-.9.7-.9 1.4M8 11.6v.1" />`,
  ),
  "not shown": icon(svg`<circle cx="8" cy="8" r="7" /><path d="M5 8h6" />`),
  extra: icon(svg`<circle cx="8" cy="8" r="7" /><path d="M8 5v6M5 8h6" />`),
  tick: icon(svg`<path d="M3.5 8.5 6.7 11.7l6-7" />`),
  fault: icon(svg`<path d="M8 1.8 15 14.2H1Z" /><path d="M8 6.3v3.5M8 11.8v.1" />`),
  photo: icon(
    svg`<rect x="1.5" y="3" width="13" height="10" rx="1.5" /><circle cx="5.4" cy="6.4" r="1.2" />
      <path d="m2 12 4-3.6 2.5 2 2.7-2.9L14.4 11" />`,
  ),
};
