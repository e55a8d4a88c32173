/** What the model says of a photo: which classes are in it, or which one it is. */
import {facts} from "./facts.js";
import {html, nothing} from "./lit-html.js";
import {colour, count, percent, wholePercent} from "./format.js";
import {icons} from "./icons.js";
import {quiet} from "./notes.js";
import {LEAST_CONFIDENCE, explain} from "./photos.js";
import {changed} from "./screen.js";

const MOST_CLASSES = 12;

export const view = {
  /** The confidence asked for, the same for all classes; null for the model's own, which may differ by class. */
  threshold: null,
  /** The one class whose boxes are shown alone; empty for all. */
  only: "",
  /** How much of the map covers the photo, from 0 to 1. */
  opacity: 0.7,
};

const least = name => view.threshold ?? facts.thresholds[name];

/** The boxes of an answer that reach the threshold, for `stage`. */
export const boxesOf = answer =>
  (answer?.boxes ?? [])
    .filter(box => box.confidence >= least(box.class))
    .map(box => ({box, name: box.class, dim: view.only !== "" && view.only !== box.class}));

/** Which classes are in the photo. @param {import("./photos.js").Photo} photo that is answered */
export const presence = photo => html`
  ${slider()}
  <ul class="bars" aria-label="In the photo">${Object.entries(photo.answer.presence)
    .sort(([, a], [, b]) => b.probability - a.probability)
    .map(([name, {probability}]) => presentRow(name, probability))}</ul>
  ${
    facts.boxes
      ? html`<p class="quiet" role="status">${count(boxesOf(photo.answer).length, "box", "boxes")} drawn${
          view.only ? html`, ${view.only} alone in full colour` : nothing
        }.</p>`
      : nothing
  }`;

/** Which class the photo is of, the likeliest first. */
export const classes = photo => {
  const named = Object.entries(photo.answer.probabilities).sort(([, a], [, b]) => b - a);
  return html`
    <p class="found">${photo.answer.class} <span>${percent(photo.answer.probability)}</span></p>
    <ul class="bars" aria-label="Probability of each class">
      ${named.slice(0, MOST_CLASSES).map(
        ([name, p]) => html`
        <li class=${name === photo.answer.class ? "yes" : ""}><span class="name">${name}</span>${bar(p)}</li>`,
      )}
    </ul>
    ${named.length > MOST_CLASSES ? quiet(`and ${named.length - MOST_CLASSES} less likely ones`) : nothing}`;
};

/** The button that asks what an answer rests on, and how strongly it is shown. */
export const why = photo => {
  if (!facts.explains) return nothing;
  if (photo.why !== "there") {
    return html`<p><button type="button" id="why" class="plain" ?disabled=${photo.why === "asking"}
      @click=${() => explain(photo)}>${photo.why === "asking" ? "Looking into it …" : "Why?"}</button></p>`;
  }
  return html`
    <div class="setting">
      <label for="opacity">What speaks for <strong>${photo.answer.explanation.class}</strong></label>
      <output>${wholePercent(view.opacity)}</output>
      <input id="opacity" type="range" min="0" max="1" step="0.05" .value=${String(view.opacity)}
        @input=${event => {
          view.opacity = Number(event.target.value);
          changed();
        }}>
      <p class="quiet">The brighter a place, the more the answer rests on it.</p>
    </div>`;
};

function slider() {
  const marks = [...new Set(Object.values(facts.thresholds))];
  const within = value => Math.max(LEAST_CONFIDENCE, Math.min(0.99, value));
  const place = value => (100 * (value - LEAST_CONFIDENCE)) / (0.99 - LEAST_CONFIDENCE);
  const median = marks.sort((a, b) => a - b)[Math.floor(marks.length / 2)];
  return html`
    <div class="setting ${view.threshold === null ? "own" : ""}">
      <label for="threshold">Confidence at least</label>
      <output for="threshold">${view.threshold === null ? "the model's own" : wholePercent(view.threshold)}</output>
      <div class="track">
        <input id="threshold" type="range" min=${LEAST_CONFIDENCE} max="0.99" step="0.01"
          .value=${String(view.threshold ?? median)}
          aria-valuetext=${view.threshold === null ? "the model's own" : wholePercent(view.threshold)}
          @input=${event => {
            view.threshold = Number(event.target.value);
            changed();
          }}>
        ${marks.map(mark => html`<i .style=${`left: ${place(within(mark))}%`}></i>`)}
      </div>
      <p class="quiet">${
        view.threshold === null
          ? html`Each mark is the model's own threshold for some class.`
          : html`<button type="button" class="link" @click=${() => {
              view.threshold = null;
              changed();
            }}>Back to the model's own</button>`
      }</p>
    </div>`;
}

const PRESENT = html`<span class="present">${icons.tick}<span class="unseen">present</span></span>`;

const presentRow = (name, probability) => html`
  <li class=${probability >= least(name) ? "yes" : ""}>
    ${
      facts.boxes
        ? html`<button type="button" class="name" aria-pressed=${view.only === name}
      title="Show ${name} alone" @click=${() => {
        view.only = view.only === name ? "" : name;
        changed();
      }}>
      <i class="swatch" .style=${`background: ${colour(name)}`}></i>${name}</button>`
        : html`<span class="name">${name}</span>`
    }
    ${probability >= least(name) ? PRESENT : nothing}
    ${bar(probability, facts.thresholds[name])}
  </li>`;

/** A probability as a bar with its number; with a mark where the model's own threshold is. */
export const bar = (p, own = null) => html`
  <span class="bar"><i .style=${`width: ${100 * p}%`}></i>${
    own === null
      ? nothing
      : html`<b .style=${`left: ${100 * own}%`} title="the model's own threshold: ${percent(own)}"></b>`
  }</span>
  <span class="number">${percent(p)}</span>`;
