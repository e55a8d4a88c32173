/** Requests to the service: with the key, patient when it is busy, and with refusals in words. */
import {facts} from "./facts.js";
import {changed} from "./screen.js";

const KEPT = "pizzeria-key";
const TRIES = 12;
const LONGEST_WAIT_S = 30;

/** What the whole page should know of the service. */
export const service = {
  key: remembered(),
  /** Why the key is asked for again; empty while it does. */
  refusedKey: "",
  /** Whether the last request found nobody. */
  gone: false,
  /** Seconds that a busy service asked to wait; 0 while it is not busy. */
  waiting: 0,
};

/** The service answered, and said no. */
export class Refusal extends Error {
  constructor(status, {message, hint}) {
    super(hint ? `${sentence(message)} ${sentence(hint)}` : sentence(message));
    this.status = status;
    /** As it came, with the name of a photo first if it is about one. */
    this.about = message;
  }
}

/** No answer came: the service is stopped, or the way to it is cut. */
export class Gone extends Error {}

/** Whether there is no use in asking: nobody is there, or there is no key that the service knows. */
export const held = () => service.gone || service.refusedKey !== "" || (facts.needs_key && !service.key);

/** Keep the key for this tab alone. */
export function useKey(key) {
  service.key = key;
  service.refusedKey = "";
  try {
    sessionStorage.setItem(KEPT, key);
  } catch {
    /* a browser that keeps nothing; the key lives with the page */
  }
}

/**
 * Ask the service, and ask again when it is busy, after the time that it names, then longer.
 *
 * @returns {Promise<{answer: object, trip: number, server: number|null}>} the answer, the milliseconds of the round
 *   trip, and those that the service counted itself, where it tells them.
 * @throws {Refusal|Gone}
 */
export async function ask(path, body, type) {
  for (let tries = 1; ; tries += 1) {
    const begun = performance.now();
    const {key} = service;
    const {status, headers, answer} = await send(path, body, type);
    if (status === 429 && tries < TRIES) {
      await pause((Number(headers.get("Retry-After")) || 1) * Math.min(tries, 5));
    } else if (status === 200) {
      return {answer, trip: performance.now() - begun, server: ownTime(headers)};
    } else if (status === 401 && key !== service.key) {
      // another key was given while this was on its way: ask with that one
    } else {
      if (status === 401) service.refusedKey = sentence(answer.error.message);
      throw new Refusal(status, answer.error);
    }
  }
}

async function send(path, body, type) {
  const headers = {};
  if (type) headers["Content-Type"] = type;
  if (service.key) headers.Authorization = `Bearer ${service.key}`;
  try {
    const response = await fetch(path, {method: "POST", body, headers});
    const answer = await response.json();
    if (!response.ok && !answer.error) throw new TypeError("not an answer of this service");
    service.gone = false;
    return {status: response.status, headers: response.headers, answer};
  } catch {
    service.gone = true;
    throw new Gone("The service does not answer. It may be stopped, or the network is down.");
  } finally {
    changed();
  }
}

async function pause(seconds) {
  service.waiting = Math.min(seconds, LONGEST_WAIT_S);
  changed();
  // A little longer, and not all at the same moment, or those who wait would meet again.
  await new Promise(resolve => setTimeout(resolve, 1000 * service.waiting * (1 + 0.3 * Math.random())));
  service.waiting = 0;
  changed();
}

/** `Server-Timing: predict;dur=12.3` -> 12.3 */
function ownTime(headers) {
  const found = /dur=([\d.]+)/.exec(headers.get("Server-Timing") ?? "");
  return found ? Number(found[1]) : null;
}

function sentence(text) {
  const begun = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

function remembered() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}
