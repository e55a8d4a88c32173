/** The photos of the page: adding them, asking about each, and trying again. */
import {facts} from "./facts.js";
import {changed} from "./screen.js";
import {ask, held, service} from "./service.js";
import {fitting, shrink} from "./shrink.js";

const AT_ONCE = 3;
const THUMBNAIL = 320;
/** Everything from here on is fetched once; the threshold then filters in the browser. */
export const LEAST_CONFIDENCE = 0.05;
/** Where one photo is asked about; the boxes of a detector come from a low confidence on. */
export const PREDICT = facts.boxes ? `/predict?min_confidence=${LEAST_CONFIDENCE}` : "/predict";

/**
 * @typedef {object} Photo
 * @property {string} name unique on the page
 * @property {Blob} blob as it was chosen
 * @property {string} url of the whole photo, for the browser
 * @property {string} thumbnail URL of a small copy; empty until it is made, and where the browser cannot
 * @property {number} width upright, in pixels; 0 while unknown
 * @property {number} height
 * @property {boolean} prepared whether its small copy was tried
 * @property {"new"|"asking"|"answered"|"refused"|"removed"} state
 * @property {object|null} answer of `/predict`
 * @property {{trip: number, server: number|null}|null} time
 * @property {string} fault why it was refused
 * @property {number} sent bytes of the smaller copy that was sent; 0 if the photo went as it is
 * @property {"no"|"asking"|"there"} why whether its explanation is there
 */

export const album = {
  /** @type {Photo[]} */
  photos: [],
  shown: 0,
  /** Photos that came when there was no more room. */
  leftOut: 0,
};

let asking = true;
let busy = 0;
let thumbnails = Promise.resolve();

export const shownPhoto = () => album.photos[album.shown] ?? null;

/** Take photos in; those that are no photos come too, and the service says what is wrong with them. */
export function add(blobs) {
  const room = facts.limits.photos - album.photos.length;
  album.leftOut = Math.max(0, blobs.length - room);
  const first = album.photos.length;
  for (const blob of [...blobs].slice(0, room)) {
    const photo = {
      name: uniqueName(blob.name ?? ""),
      blob,
      url: URL.createObjectURL(blob),
      thumbnail: "",
      width: 0,
      height: 0,
      prepared: false,
      state: "new",
      answer: null,
      time: null,
      fault: "",
      sent: 0,
      why: "no",
    };
    album.photos.push(photo);
    thumbnails = thumbnails.then(() => prepare(photo));
  }
  if (album.photos.length > first) album.shown = first;
  changed();
}

/** Show the photo at `place`, as far as there is one. */
export function show(place) {
  album.shown = Math.max(0, Math.min(album.photos.length - 1, place));
  changed();
}

export function remove(photo) {
  album.photos.splice(album.photos.indexOf(photo), 1);
  URL.revokeObjectURL(photo.url);
  URL.revokeObjectURL(photo.thumbnail);
  photo.state = "removed";
  album.leftOut = 0;
  show(album.shown);
}

export const removeAll = () => [...album.photos].forEach(remove);

/** Whether photos are asked about one by one. */
export const asksEach = () => asking;

/** Ask about each photo as it comes, or leave them to the listing. */
export function askEach(yes) {
  asking = yes;
  pump();
}

/** Ask again about what has no answer yet: the service is there again, or has its key. */
export function tryAgain() {
  service.gone = false;
  pump();
  changed();
}

/** Ask what the answer for a photo rests on. */
export async function explain(photo) {
  photo.why = "asking";
  changed();
  try {
    const {answer} = await ask("/predict?explain=true", await fitting(photo, facts.limits.bytes), photo.blob.type);
    photo.answer = {...photo.answer, explanation: answer.explanation};
    photo.why = "there";
    photo.fault = "";
  } catch (error) {
    photo.why = "no";
    photo.fault = error.message;
  }
  changed();
}

async function prepare(photo) {
  if (photo.state === "removed") return;
  try {
    const {blob, width, height} = await shrink(photo.blob, THUMBNAIL);
    Object.assign(photo, {thumbnail: URL.createObjectURL(blob), width, height});
  } catch {
    /* the browser cannot show it; perhaps the service can read it, or says what is wrong */
  }
  photo.prepared = true;
  changed();
  pump();
}

function pump() {
  while (asking && busy < AT_ONCE && !held()) {
    const next = album.photos.find(one => one.state === "new" && one.prepared);
    if (!next) return;
    void predict(next);
  }
}

async function predict(photo) {
  busy += 1;
  photo.state = "asking";
  changed();
  const found = await answerTo(photo);
  if (photo.state !== "removed") Object.assign(photo, found);
  busy -= 1;
  changed();
  pump();
}

async function answerTo(photo) {
  try {
    const body = await fitting(photo, facts.limits.bytes);
    const path = `${PREDICT}${PREDICT.includes("?") ? "&" : "?"}input_id=${encodeURIComponent(photo.name)}`;
    const {answer, ...time} = await ask(path, body, body.type);
    return {state: "answered", answer, time, fault: "", sent: body === photo.blob ? 0 : body.size};
  } catch (error) {
    // Without a service, or without a key that it knows, nothing is wrong with the photo: it waits.
    return held() ? {state: "new"} : {state: "refused", fault: error.message};
  }
}

/** A name as the service will tell it again: without a folder, in characters that a form carries unchanged. */
function uniqueName(given) {
  const name =
    given
      .replace(/^.*[\\/]/s, "")
      .replaceAll('"', "'")
      .replace(/\p{C}/gu, "")
      .slice(-150) || "photo";
  const taken = new Set(album.photos.map(one => one.name));
  const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
  let found = name;
  for (let n = 2; taken.has(found); n += 1) found = `${stem} (${n})${ending ?? ""}`;
  return found;
}
