/** A listing: what it declares, against what its photos show. */
import {facts} from "./facts.js";
import {count, latency, percent} from "./format.js";
import {showTile} from "./gallery.js";
import {icons} from "./icons.js";
import {html, nothing} from "./lit-html.js";
import {fault, note, quiet} from "./notes.js";
import {album, show} from "./photos.js";
import {changed} from "./screen.js";
import {Refusal, ask, held} from "./service.js";
import {fitting} from "./shrink.js";
import {curlListing, takeaway} from "./takeaway.js";

const FORM_BYTES_A_PHOTO = 500;

export const listing = {
  declared: new Set(),
  /** The answer of `/verify`, and the photos that it is about, in the same order. */
  answer: null,
  photos: [],
  /** What was declared and shown when it was asked. */
  about: "",
  time: null,
  asking: false,
  fault: "",
  /** The amenity whose evidence is marked. */
  chosen: "",
};

const readable = () => album.photos.filter(one => one.state !== "refused");
const about = () => JSON.stringify([[...listing.declared], readable().map(one => one.url)]);

export const listingPanel = () => html`
  <fieldset class="declared">
    <legend>What the listing declares</legend>
    <div class="chips">${facts.classes.map(
      name => html`
      <label class="chip"><input type="checkbox" .checked=${listing.declared.has(name)}
        @change=${event => declare(name, event.target.checked)}><span>${icons.tick}${name}</span></label>`,
    )}
    </div>
  </fieldset>
  <div class="row">
    <button type="button" id="verify" ?disabled=${listing.asking || !readable().length} @click=${verify}>
      ${listing.asking ? "Looking …" : "Verify"}</button>
    <span class="quiet">${counted()}</span>
  </div>
  ${fault(listing.fault)}
  ${listing.answer ? verdicts(listing.answer) : nothing}`;

/** The evidence that lies in a photo, for `stage`. */
export function evidenceIn(photo) {
  const place = listing.photos.indexOf(photo);
  if (!listing.answer || place < 0) return {};
  const frame = listing.answer.photos[place];
  const boxes = [...listing.answer.verdicts, ...listing.answer.undeclared]
    .filter(one => one.evidence?.photo === frame.name && one.evidence.box)
    .map(one => ({
      box: one.evidence.box,
      name: one.amenity,
      dim: listing.chosen !== "" && listing.chosen !== one.amenity,
    }));
  return {
    boxes,
    frame,
    said: frame.room ? html`<span>${frame.room.name}, ${percent(frame.room.probability)}</span>` : nothing,
  };
}

/** A sign on the small photos that hold the chosen evidence. */
export const evidenceMark = photo =>
  listing.chosen && photoOf(evidenceOf(listing.chosen)) === photo
    ? html`<span class="mark">${icons.tick}</span>`
    : nothing;

const counted = () => (album.photos.length ? count(readable().length, "photo") : "Add the listing's photos first.");

function declare(name, yes) {
  if (yes) listing.declared.add(name);
  else listing.declared.delete(name);
  changed();
}

const verdicts = answer => html`
  ${listing.about === about() ? nothing : note("The listing has changed since. Verify it again.")}
  <ul class="verdicts" aria-label="Verdicts">${answer.verdicts.map(one => verdict(one, one.verdict, one.verdict))}</ul>
  ${
    answer.undeclared.length
      ? html`
    <h3>Seen, but not declared</h3>
    <ul class="verdicts" aria-label="Seen, but not declared">
      ${answer.undeclared.map(one => verdict(one, "extra", "seen"))}
    </ul>`
      : nothing
  }
  ${answer.verdicts.length + answer.undeclared.length ? nothing : quiet("Nothing is declared, and nothing was seen.")}
  <p class="quiet">Answered in <span class="latency">${latency(listing.time)}</span>.</p>
  ${takeaway(`${facts.name}-listing`, answer, curlListing(listing.photos, [...listing.declared]))}`;

const verdict = (one, kind, word) => html`
  <li class=${`verdict ${kind.replace(" ", "-")}`}>
    <button type="button" ?disabled=${!one.evidence} aria-pressed=${listing.chosen === one.amenity}
      @click=${() => choose(one)}>
      ${icons[kind]}
      <span class="amenity">${one.amenity}</span>
      <span class="word">${word}</span>
      <span class="number">${percent(one.probability)}</span>
      ${one.reason ? html`<span class="reason">${one.reason.replaceAll(" %", "\u00a0%")}</span>` : nothing}
    </button>
  </li>`;

const evidenceOf = amenity =>
  [...listing.answer.verdicts, ...listing.answer.undeclared].find(one => one.amenity === amenity)?.evidence;

const photoOf = evidence => listing.photos[listing.answer.photos.findIndex(one => one.name === evidence?.photo)];

/** Show the photo that a verdict rests on, with its box; once more shows all boxes again. */
async function choose(one) {
  listing.chosen = listing.chosen === one.amenity ? "" : one.amenity;
  const place = album.photos.indexOf(photoOf(one.evidence));
  if (listing.chosen && place >= 0) {
    show(place);
    await showTile();
    document.querySelector(".stage").scrollIntoView({block: "nearest"});
  }
  changed();
}

async function verify() {
  Object.assign(listing, {asking: true, fault: "", chosen: ""});
  changed();
  try {
    while (readable().length && !(await asked())) {
      /* once more, without the photo that was refused */
    }
    if (!readable().length) listing.fault = "None of the photos can be read.";
  } catch (error) {
    listing.fault = held() ? "" : error.message;
  }
  listing.asking = false;
  changed();
}

/** Ask once. @returns {Promise<boolean>} false if a photo was refused, which is marked now */
async function asked() {
  const photos = readable(),
    now = about();
  const form = new FormData();
  for (const {photo, body} of await bodies(photos)) form.append("photos", body, photo.name);
  form.append("declared", JSON.stringify([...listing.declared]));
  try {
    const {answer, ...time} = await ask("/verify", form);
    Object.assign(listing, {answer, time, photos, about: now});
    return true;
  } catch (error) {
    const broken = error instanceof Refusal && photos.find(one => error.about.startsWith(`${one.name}: `));
    if (!broken) throw error;
    const said = error.message.slice(broken.name.length + 2);
    Object.assign(broken, {state: "refused", fault: said[0].toUpperCase() + said.slice(1)});
    return false;
  }
}

/** Each photo as it is while all of them fit into one request, else none larger than its share. */
async function bodies(photos) {
  const room = facts.limits.bytes - FORM_BYTES_A_PHOTO * (photos.length + 1);
  const whole = photos.reduce((sum, one) => sum + one.blob.size, 0);
  const out = [];
  for (const photo of photos)
    out.push({photo, body: await fitting(photo, whole <= room ? Infinity : room / photos.length)});
  return out;
}
