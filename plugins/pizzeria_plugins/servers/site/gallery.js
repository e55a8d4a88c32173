/** All photos, small; the one that is shown large is marked. */
import {facts} from "./facts.js";
import {html, nothing} from "./lit-html.js";
import {count} from "./format.js";
import {icons} from "./icons.js";
import {note} from "./notes.js";
import {add, album, asksEach, remove, removeAll, show} from "./photos.js";
import {drawn} from "./screen.js";

const SAID = {new: "not asked about yet", asking: "being asked about", answered: "answered", refused: "refused"};
const STEPS = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1};

const BLANK = html`<span class="blank">${icons.photo}</span>`;
const REMOVE_ALL = html`<button type="button" class="plain" @click=${removeAll}>Remove all</button>`;

/** @param {(photo: object) => object} mark what is drawn over a small photo */
export const gallery = mark => html`
  <section class="gallery" aria-label="All photos">
    <ul @keydown=${moved}>
      ${album.photos.map(
        (photo, place) => html`
        <li class=${photo.state === "new" && !asksEach() ? "" : photo.state}>
          <button type="button" class="tile"
            aria-current=${place === album.shown} tabindex=${place === album.shown ? 0 : -1}
            @click=${() => show(place)} title=${photo.name}>
            ${photo.thumbnail ? html`<img src=${photo.thumbnail} alt="">` : BLANK}
            <span class="unseen">${photo.name}, ${SAID[photo.state]}</span>
            ${photo.state === "asking" ? html`<span class="busy"></span>` : nothing}
            ${photo.state === "refused" ? html`<span class="fault">${icons.fault}</span>` : mark(photo)}
          </button>
        </li>`,
      )}
    </ul>
    <div class="row">
      ${chooser(html`Add photos`, "button plain")}
      <button type="button" class="plain" @click=${() => remove(album.photos[album.shown])}>Remove this one</button>
      ${album.photos.length > 1 ? REMOVE_ALL : nothing}
      <span class="quiet">${progress()}</span>
    </div>
    ${album.leftOut ? note(leftOut()) : nothing}
  </section>`;

/** A button that opens the browser's own choice of files. */
export const chooser = (label, look) => html`
  <label class=${look}>
    <input type="file" class="unseen" multiple accept=${facts.types.join(",")} @change=${chosen}>${label}
  </label>`;

const leftOut = () =>
  `${count(album.leftOut, "photo was", "photos were")} left out: there is room for ${facts.limits.photos}.`;

/** "12 photos, 3 to go", and nothing where there is only one. */
export function progress() {
  const total = album.photos.length;
  const waiting = album.photos.filter(one => one.state === "asking" || (one.state === "new" && asksEach())).length;
  const refused = album.photos.filter(one => one.state === "refused").length;
  if (total < 2 && !refused) return "";
  return [count(total, "photo"), waiting ? `${waiting} to go` : "", refused ? `${refused} refused` : ""]
    .filter(Boolean)
    .join(", ");
}

/** Scroll to the small photo of the one that is shown. */
export async function showTile() {
  await drawn();
  const tile = document.querySelector('.tile[aria-current="true"]');
  tile?.scrollIntoView({block: "nearest", inline: "nearest"});
  return tile;
}

function chosen(event) {
  add(event.target.files);
  event.target.value = "";
}

/** Arrow keys move among the photos, and the focus goes along. */
async function moved(event) {
  const place = {Home: 0, End: album.photos.length - 1}[event.key] ?? album.shown + (STEPS[event.key] ?? NaN);
  if (Number.isNaN(place)) return;
  event.preventDefault();
  event.stopPropagation();
  show(place);
  (await showTile())?.focus();
}
