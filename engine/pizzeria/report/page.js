// Draws each figure when it comes into view, in the colours of the style sheet, and again when the colour scheme changes.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const variable = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  const channels = (text) => {
    const hex = /^#([0-9a-f]{6})$/i.exec(text);
    if (hex) return [0, 2, 4].map((i) => parseInt(hex[1].slice(i, i + 2), 16)).concat(1);
    const rgb = /^rgba?\(([\d.]+),\s*([\d.]+),\s*([\d.]+)(?:,\s*([\d.]+))?\)$/i.exec(text);
    return rgb ? [1, 2, 3].map((i) => +rgb[i]).concat(rgb[4] === undefined ? 1 : +rgb[4]) : null;
  };
  // A plugin's own colours are made for white paper: the dark ones are lightened on a dark page.
  const readable = (text) => {
    const c = dark.matches ? channels(text) : null;
    if (!c || 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2] > 80) return text;
    return `rgba(${c.slice(0, 3).map((v) => Math.round(v + (255 - v) * 0.55)).join(",")},${c[3]})`;
  };
  const paint = (value, adapt = readable) => {
    if (typeof value === "string") return value.startsWith("var:") ? variable(value.slice(4)) : adapt(value);
    if (Array.isArray(value)) return value.every((v) => typeof v === "number") ? value : value.map((v) => paint(v, adapt));
    if (!value || typeof value !== "object") return value;
    // The ends of a colour scale must stay apart, so it is left as it is.
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, k === "colorscale" ? (c) => c : adapt)]));
  };

  const axis = (own, narrow) => {
    const title = typeof own.title === "string" ? { text: own.title } : own.title || {};
    const style = { gridcolor: variable("grid"), linecolor: variable("line"), zeroline: false, automargin: true, ticks: "", ...(own.type === "category" ? {} : { nticks: narrow ? 5 : 8 }) };
    return { ...style, ...own, title: { ...title, standoff: 8, font: { size: 12, color: variable("muted") } } };
  };
  const layoutOf = (own, box) => {
    const ink = variable("ink"), narrow = box.clientWidth < 420;
    const out = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: box.clientHeight,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      margin: { l: 48, r: 14, t: 22, b: 40 },
      hovermode: "x unified", hoverlabel: { bgcolor: variable("surface"), bordercolor: variable("line"), font: { color: ink } },
      ...own,
    };
    out.legend = { orientation: "h", x: 0, y: own.annotations ? 1.1 : 1.02, yanchor: "bottom", font: { size: 11.5 }, bgcolor: "rgba(0,0,0,0)", ...own.legend };
    for (const key of ["xaxis", "yaxis", ...Object.keys(own)]) if (/^[xy]axis\d*$/.test(key)) out[key] = axis(own[key] || {}, narrow);
    return out;
  };

  const drawn = new Set();
  const draw = (box) => {
    const figure = JSON.parse(box.dataset.figure);
    drawn.add(box);
    return Plotly.react(box, paint(figure.data), layoutOf(paint(figure.layout), box), { displayModeBar: false, responsive: true });
  };
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => { watcher.unobserve(entry.target); draw(entry.target); }),
    { rootMargin: "600px" },
  );
  const boxes = [...document.querySelectorAll(".draw")];
  for (const box of boxes) {
    box.dataset.figure = box.firstElementChild.textContent;
    box.replaceChildren();
    watcher.observe(box);
  }
  dark.addEventListener("change", () => drawn.forEach(draw));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
    boxes.filter((box) => !drawn.has(box)).forEach(draw);
  });

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const reader = new IntersectionObserver(
    (entries) => entries.forEach((e) => links.get(e.target.querySelector("h2").id)?.classList.toggle("here", e.isIntersecting)),
    { rootMargin: "-25% 0px -74% 0px" },
  );
  document.querySelectorAll("main > section").forEach((s) => reader.observe(s));
})();
