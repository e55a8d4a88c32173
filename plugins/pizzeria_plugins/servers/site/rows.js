/** Rows of a table: as JSON text, or from a CSV or JSON file. */
import {bar} from "./answers.js";
import {parse} from "./csv.js";
import {facts} from "./facts.js";
import {count, latency, number, percent, signed} from "./format.js";
import {html, nothing} from "./lit-html.js";
import {fault, note, quiet} from "./notes.js";
import {changed} from "./screen.js";
import {ask, held} from "./service.js";
import {curlRows, takeaway} from "./takeaway.js";

const AT_A_TIME = 1000;
const SHOWN = 100;
const FILES = ".csv,.tsv,.json,text/csv,application/json";
const ROW_ID = "row_id";

const COLUMNS = Object.keys(facts.columns ?? {}).join(", ");

const table = {
  text: "",
  /** The rows of a file, which take the place of the text: {name, rows, leftOut: names of columns}; or null. */
  file: null,
  /** What was asked, and its predictions so far. */
  rows: [],
  predictions: [],
  time: null,
  asking: false,
  fault: "",
  shown: SHOWN,
  /** Explanations by the row's place: "asking", or what came. */
  why: new Map(),
};

/** Begin with the sample that the model came with. */
export async function startWithSample() {
  const sample = await fetch(facts.sample)
    .then(response => response.json())
    .catch(() => null);
  if (sample && !table.text) table.text = JSON.stringify(sample.rows ?? sample, null, 2);
  changed();
}

export const rowsPage = () => html`
  <main class="sides table">
    <section class="card">
      ${
        table.file
          ? fileCard(table.file)
          : html`
        <label class="title" for="json">Rows as JSON</label>
        <textarea id="json" spellcheck="false" autocapitalize="off" .value=${table.text}
          @input=${event => {
            table.text = event.target.value;
          }}
          @keydown=${event => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void predict();
          }}></textarea>`
      }
      <div class="row">
        <button type="button" id="predict" ?disabled=${table.asking} @click=${predict}>
          ${table.asking ? "Asking …" : "Predict"}</button>
        <label class="button plain"><input id="file" type="file" class="unseen" accept=${FILES}
          @change=${event => {
            void take(event.target.files[0]);
            event.target.value = "";
          }}>Choose a CSV file</label>
        ${
          table.file
            ? html`<button type="button" class="plain" @click=${() => {
                table.file = null;
                changed();
              }}>Back to the text</button>`
            : nothing
        }
      </div>
      ${quiet(`${table.file ? "" : "Or drop a CSV or JSON file anywhere. "}Columns: ${COLUMNS}.`)}
    </section>
    <section class="card answer" aria-label="Answer">
      ${fault(table.fault)}
      <p class="quiet" role="status">${status()}</p>
      ${table.predictions.length ? answers() : nothing}
    </section>
  </main>`;

/** Take a file of rows, and ask about them. */
export async function take(file) {
  if (!file) return;
  table.fault = "";
  try {
    const text = await file.text();
    const json = file.name.endsWith(".json") || file.type === "application/json";
    const {rows, leftOut} = json ? {rows: rowsOf(text), leftOut: []} : rowsOfCsv(text);
    table.file = {name: file.name, rows, leftOut};
    await predict();
  } catch (error) {
    table.fault = `${file.name}: ${error.message}`;
    changed();
  }
}

const fileCard = ({name, rows, leftOut}) => html`
  <h2>${name}</h2>
  <p>${count(rows.length, "row")}</p>
  ${leftOut.length ? note(`Left out, as the model does not know ${them(leftOut)}: ${leftOut.join(", ")}.`) : nothing}`;

const them = names => (names.length === 1 ? "it" : "them");

const answers = () => html`
  <div class="scroll"><table>
    <thead><tr>
      <th scope="col">Row</th><th scope="col">${facts.target}</th><th scope="col"><span class="unseen">Why</span></th>
    </tr></thead>
    <tbody>${table.predictions.slice(0, table.shown).map(answerRow)}</tbody>
  </table></div>
  ${
    table.predictions.length > table.shown
      ? html`<p><button type="button" class="plain"
    @click=${() => {
      table.shown += 10 * SHOWN;
      changed();
    }}>Show more</button></p>`
      : nothing
  }
  ${takeaway(`${facts.name}-rows`, {predictions: table.predictions, model: facts.sha256}, curlRows())}`;

const whyButton = place => html`
  <button type="button" class="plain why" @click=${() => explain(place)}>Why?</button>`;

const answerRow = (one, place) => {
  const why = table.why.get(place);
  return html`
    <tr>
      <th scope="row">${table.rows[place][ROW_ID] ?? place + 1}</th>
      <td>
        <span class="said">
          <strong>${one.class ?? number(one.value)}</strong>${one.class === undefined ? nothing : bar(one.probability)}
        </span>
        ${table.rows.length > 1 ? html`<span class="inputs">${inputs(table.rows[place])}</span>` : nothing}
      </td>
      <td>${why ? nothing : whyButton(place)}</td>
    </tr>
    ${why ? html`<tr class="because"><td colspan="3">${because(why, table.rows[place])}</td></tr>` : nothing}`;
};

const inputs = row =>
  Object.entries(row)
    .filter(([name]) => name !== ROW_ID)
    .map(([name, value]) => `${name} ${shown(value)}`)
    .join(" · ");

const shown = value => (typeof value === "number" ? number(value) : (value ?? "–"));

/** Which columns pulled the answer up or down, the strongest first. */
function because(explanation, row) {
  if (explanation === "asking") return "Looking into it …";
  const parts = Object.entries(explanation.contributions).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const largest = Math.max(...parts.map(([, value]) => Math.abs(value)), Number.MIN_VALUE);
  const total = parts.reduce((sum, [, value]) => sum + value, explanation.base);
  const inItsUnit = explanation.class === undefined ? number : percent;
  const what = explanation.class === undefined ? "the value" : `the probability of ${explanation.class}`;
  return html`
    ${quiet(`From ${inItsUnit(explanation.base)} for a usual row to ${inItsUnit(total)} here: what moves ${what}.`)}
    <ul class="pulls">${parts.map(
      ([name, value]) => html`
      <li class=${value < 0 ? "down" : "up"}>
        <span class="name">${name} <span class="quiet">${row[name] == null ? "missing" : shown(row[name])}</span></span>
        <span class="pull"><i .style=${`width: ${(50 * Math.abs(value)) / largest}%`}></i></span>
        <span class="number">${signed(value, largest)}</span>
      </li>`,
    )}</ul>`;
}

async function predict() {
  Object.assign(table, {asking: true, fault: "", predictions: [], time: null, shown: SHOWN, why: new Map()});
  changed();
  try {
    table.rows = table.file ? table.file.rows : rowsOf(table.text);
    if (!table.rows.length) throw new Error("There is no row.");
    const atATime = Math.min(AT_A_TIME, facts.limits.rows);
    for (let from = 0; from < table.rows.length; from += atATime) {
      const {answer, trip, server} = await ask(
        "/predict",
        JSON.stringify({rows: table.rows.slice(from, from + atATime)}),
        "application/json",
      ).catch(error => {
        throw counted(error, from);
      });
      table.predictions.push(...answer.predictions);
      table.time = {
        trip: trip + (table.time?.trip ?? 0),
        server: server === null ? null : server + (table.time?.server ?? 0),
      };
      changed();
    }
  } catch (error) {
    table.fault = held() ? "" : error.message;
  }
  table.asking = false;
  changed();
}

async function explain(place) {
  table.why.set(place, "asking");
  changed();
  try {
    const {answer} = await ask(
      "/predict?explain=true",
      JSON.stringify({rows: [table.rows[place]]}),
      "application/json",
    );
    table.why.set(place, answer.predictions[0].explanation);
    table.predictions[place] = answer.predictions[0];
  } catch (error) {
    table.why.delete(place);
    table.fault = error.message;
  }
  changed();
}

function status() {
  if (table.asking && table.rows.length > AT_A_TIME)
    return `${count(table.predictions.length, "row")} of ${number(table.rows.length)} …`;
  if (table.predictions.length) return `${count(table.predictions.length, "row")} answered in ${latency(table.time)}`;
  return table.asking || table.fault ? "" : "The answers will be here.";
}

function rowsOf(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}.`);
  }
  found = found?.rows ?? found;
  return Array.isArray(found) ? found : [found];
}

/** Columns that the model does not know stay behind; an empty field is a missing value. */
function rowsOfCsv(text) {
  const [head, ...records] = parse(text);
  if (!records.length) throw new Error("There is no row below its first line, which names the columns.");
  const known = name => name in facts.columns || name === ROW_ID;
  const rows = records.map(record =>
    Object.fromEntries(
      head.map((name, at) => [name, valueOf(record[at] ?? "", facts.columns[name])]).filter(([name]) => known(name)),
    ),
  );
  return {rows, leftOut: head.filter(name => !known(name))};
}

function valueOf(field, kind) {
  if (field === "") return null;
  return kind === "number" && Number.isFinite(Number(field)) ? Number(field) : field;
}

/** An error that counts rows from the first of the whole file, rather than of the part that was sent. */
function counted(error, from) {
  error.message = error.message.replace(/\brows\[(\d+)\]/i, (_, n) => `rows[${Number(n) + from}]`);
  return error;
}
