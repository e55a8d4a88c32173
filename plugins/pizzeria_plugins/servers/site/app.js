/** The page to try the model: what is on it, and what may be dropped, pasted and pressed anywhere. */
import {boxesOf, classes, presence, view, why} from "./answers.js";
import {facts} from "./facts.js";
import {chooser, gallery, progress, showTile} from "./gallery.js";
import {heat} from "./heat.js";
import {icons} from "./icons.js";
import {html, nothing} from "./lit-html.js";
import {evidenceIn, evidenceMark, listingPanel} from "./listing.js";
import {fault, note, quiet} from "./notes.js";
import {PREDICT, add, album, askEach, show, shownPhoto, tryAgain} from "./photos.js";
import {rowsPage, startWithSample, take} from "./rows.js";
import {changed, start} from "./screen.js";
import {service, useKey} from "./service.js";
import {stage} from "./stage.js";
import {curlPhoto, takeaway} from "./takeaway.js";

const page = {listing: false, dropping: false};

const whole = () => html`
  <header class="top">
    <div>
      <h1>${facts.name}</h1>
      <p class="facts">${facts.task.replaceAll("_", " ")} <span aria-hidden="true">·</span>
        model <code title=${facts.sha256}>${facts.sha256.slice(0, 12)}</code></p>
    </div>
    <nav aria-label="Pages"><a href="/docs">Docs</a><a href="/openapi.json">OpenAPI</a>${
      facts.metrics ? html`<a href="/metrics">Metrics</a>` : nothing
    }</nav>
  </header>
  ${facts.needs_key ? keyForm() : nothing}
  <div class="banner">${banner()}</div>
  ${facts.photos ? photosPage() : rowsPage()}
  <div class="curtain" ?hidden=${!page.dropping} aria-hidden="true">
    <p>Let go to ask about ${facts.photos ? "the photos" : "the rows"}</p>
  </div>`;

const keyForm = () => html`
  <form class="key" @submit=${submitKey}>
    <label for="key">API key</label>
    <input id="key" type="password" autocomplete="off" spellcheck="false" aria-describedby="keysaid"
      .value=${service.key}>
    <button type="submit" class="plain">Use it</button>
    <span id="keysaid" class=${service.refusedKey ? "fault" : "quiet"} role="status">${
      service.refusedKey ||
      (service.key ? "Kept in this tab alone, until it is closed." : "This service answers only with a key.")
    }</span>
  </form>`;

const banner = () => {
  if (service.gone) {
    const again = html`<button type="button" class="plain" @click=${tryAgain}>Try again</button>`;
    return fault("The service does not answer. It may be stopped, or the network is down.", again);
  }
  return service.waiting ? note(`The service is busy; asking again in ${service.waiting} s.`) : nothing;
};

function photosPage() {
  const photo = shownPhoto();
  return html`
    ${facts.presence ? modes() : nothing}
    <main class=${photo ? "sides" : "sides empty"}>
      <section class="card">
        ${photo ? large(photo) : welcome()}
        ${photo ? gallery(page.listing ? evidenceMark : () => nothing) : nothing}
      </section>
      ${
        photo || page.listing
          ? html`<section class="card answer" aria-label="Answer">${side(photo)}</section>`
          : nothing
      }
    </main>
    <p class="unseen" role="status">${progress()}</p>`;
}

const modes = () => html`
  <fieldset class="modes">
    <legend class="unseen">What to do</legend>
    ${[
      ["Photos", false],
      ["Listing", true],
    ].map(
      ([label, value]) => html`
      <label><input type="radio" name="mode" .checked=${page.listing === value} @change=${() => setMode(value)}>
        <span>${label}</span></label>`,
    )}
  </fieldset>`;

const FORMATS = facts.types?.map(one => one.slice("image/".length).toUpperCase().replace("WEBP", "WebP")).join(", ");

const welcome = () => html`
  <div class="welcome">
    ${icons.photo}
    <p><strong>Drop ${page.listing ? "the photos of a listing" : "photos"} here</strong></p>
    <p class="row">${chooser(html`Choose photos`, "button")}
      <button type="button" class="plain" id="sample" @click=${addSample}>Try the sample photo</button></p>
    <p class="quiet">or paste one. ${FORMATS}; they are sent to this service alone.</p>
  </div>`;

function large(photo) {
  if (page.listing) return stage({photo: {...photo, time: null}, ...evidenceIn(photo)});
  const explained = photo.why === "there" ? photo.answer.explanation : null;
  return stage({
    photo,
    boxes: facts.boxes ? boxesOf(photo.answer) : [],
    frame: photo.answer ?? photo,
    over: explained ? heat(explained, view.opacity) : nothing,
  });
}

function side(photo) {
  if (page.listing) return listingPanel();
  if (!photo.answer)
    return quiet(photo.state === "refused" ? "There is no answer for this photo." : "Waiting for the answer …");
  return html`
    ${facts.presence ? presence(photo) : classes(photo)}
    ${why(photo)}
    ${takeaway(photo.name.replace(/\.[^.]*$/, ""), photo.answer, curlPhoto(PREDICT, photo))}`;
}

function setMode(listing) {
  page.listing = listing;
  askEach(!listing);
  changed();
}

async function addSample() {
  const response = await fetch(facts.sample);
  const blob = await response.blob();
  add([new File([blob], `sample${facts.sample.slice(facts.sample.lastIndexOf("."))}`, {type: blob.type})]);
}

function submitKey(event) {
  event.preventDefault();
  useKey(document.getElementById("key").value.trim());
  tryAgain();
}

function takeFiles(files) {
  if (facts.photos) add(files);
  else void take(files[0]);
}

/** Whole files may be dropped anywhere; the browser would open them in place of the page otherwise. */
function dragged(event) {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  page.dropping = event.type === "dragover" || (event.type === "dragleave" && event.relatedTarget !== null);
  if (event.type === "drop") takeFiles([...event.dataTransfer.files]);
  changed();
}

function pasted(event) {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  takeFiles([...event.clipboardData.files]);
}

function pressed(event) {
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, textarea")) return;
  show(album.shown + step);
  void showTile();
}

for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, dragged);
document.addEventListener("paste", pasted);
document.addEventListener("keydown", pressed);
start(whole, document.getElementById("app"));
if (!facts.photos) void startWithSample();
document.body.dataset.ready = "yes";
