/** Numbers, counts and colours as people read them. */
import {facts} from "./facts.js";

/** 0.973 -> "97 %"; no certainty is claimed by rounding: 0.9996 -> "> 99.9 %", 0.0004 -> "< 0.1 %". */
export function percent(p) {
  if (p > 0 && p < 0.001) return "< 0.1 %";
  if (p < 1 && p > 0.999) return "> 99.9 %";
  return `${(100 * p).toFixed(p < 0.01 || p > 0.99 ? 1 : 0).replace(/\.0$/, "")} %`;
}

/** 0.4 -> "40 %", for a setting rather than a finding. */
export const wholePercent = p => `${Math.round(100 * p)} %`;

/** 3, "photo" -> "3 photos"; 1, "box", "boxes" -> "1 box". */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** 2345678 -> "2.3 MB". */
export const size = bytes =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** A number with the digits that matter. */
export const number = value => value.toLocaleString("en", {maximumSignificantDigits: 6});

/** A share of a sum with its sign, with the decimals that the largest share needs: 0.25 -> "+0.250". */
export function signed(value, largest) {
  const decimals = Math.min(20, Math.max(0, 2 - Math.floor(Math.log10(largest))));
  const shown = Math.abs(value).toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  return Number(shown.replaceAll(",", "")) === 0 ? "0" : `${value < 0 ? "−" : "+"}${shown}`;
}

/** The colour of a class: the same each time, neighbours far apart, all dark enough for white letters. */
export const colour = name =>
  `oklch(51% 0.16 ${Math.round(30 + 137.508 * Math.max(0, facts.classes.indexOf(name))) % 360})`;

/** Milliseconds, and the service's own share of them where it tells it. */
export function latency({trip, server}) {
  const own = server === null ? "" : ` (service ${server < 10 ? server.toFixed(1) : Math.round(server)} ms)`;
  return `${Math.round(trip)} ms${own}`;
}
