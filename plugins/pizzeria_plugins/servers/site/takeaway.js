/** What people take along: the answer as a file, and the request as a line for the shell. */
import {copy} from "./clipboard.js";
import {facts} from "./facts.js";
import {html} from "./lit-html.js";
import {changed} from "./screen.js";

let copied = "";

/**
 * @param {string} name of the file, without its ending
 * @param {object} answer
 * @param {string} line for the shell
 */
export const takeaway = (name, answer, line) => html`
  <p class="row takeaway">
    <button type="button" class="plain" @click=${() => download(`${name}.json`, answer)}>Download JSON</button>
    <button type="button" class="plain" @click=${() => copyLine(line)}>Copy as curl</button>
    <span class="quiet" role="status">${copied === line ? "Copied." : ""}</span>
  </p>`;

/** The line that asks what the page asked: `curl ... --data-binary @kitchen.jpg`. */
export const curlLine = (path, options) =>
  [
    "curl",
    quoted(location.origin + path),
    ...(facts.needs_key ? ['-H "Authorization: Bearer $KEY"'] : []),
    ...options,
  ].join(" ");

export const curlPhoto = (path, photo) =>
  curlLine(path, [
    `-H ${quoted(`Content-Type: ${photo.blob.type || "image/jpeg"}`)}`,
    `--data-binary ${quoted(`@${photo.name}`)}`,
  ]);

export const curlRows = () => curlLine("/predict", ["-H 'Content-Type: application/json'", "--data-binary @rows.json"]);

export const curlListing = (photos, declared) =>
  curlLine("/verify", [
    `-F ${quoted(`declared=${declared.join(",")}`)}`,
    ...photos.map(one => `-F ${quoted(`photos=@${one.name}`)}`),
  ]);

/** A word for a POSIX shell, with quotes where it needs them. */
const quoted = word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

function download(name, answer) {
  const text = JSON.stringify(answer, null, 2);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copyLine(line) {
  copied = (await copy(line)) ? line : "";
  changed();
}
