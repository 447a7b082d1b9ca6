"use strict";
const { tokens, inputs, nodes, edges, parts, listed } = JSON.parse(document.getElementById("data").textContent);
const panel = document.getElementById("panel");
const drawings = [...document.querySelectorAll("svg.graph")].map((svg) => {
  const dots = [...svg.querySelectorAll(".node")];
  const at = dots.map((dot) => ["cx", "cy", "r"].map((key) => Number(dot.getAttribute(key))));
  return { svg, dots, at, own: svg.querySelector(".own"), ring: svg.querySelector(".ring") };
});
const feeds = nodes.map(() => []);
const fed = nodes.map(() => []);
for (const edge of edges) {
  feeds[edge[0]].push(edge);
  fed[edge[1]].push(edge);
}
const strength = (i) => Math.abs(nodes[i].score ?? 0);
const ranked = nodes.map((_, i) => i).filter((i) => nodes[i].score !== null).sort((a, b) => strength(b) - strength(a));
const TOP = 10;
let shown = -1;
let pinned = -1;

const say = (score) => (score === null ? "no score" : String(score));
const percent = (share) => `${(100 * share).toFixed(1)}%`;

function make(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function add(parent, name, text, css) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (css) made.className = css;
  parent.append(made);
  return made;
}

function link(parent, i) {
  const button = add(parent, "button", nodes[i].name, "link");
  button.type = "button";
  button.addEventListener("click", () => pin(i));
}

function rows(found) {
  const table = add(panel, "table");
  const counted = found.some(([, , changes]) => changes !== undefined);
  const head = add(table, "tr");
  for (const text of ["node", "score", ...(counted ? ["answers changed"] : [])]) add(head, "th", text);
  for (const [i, score, changes] of found) {
    const row = add(table, "tr");
    link(add(row, "td"), i);
    add(row, "td", say(score), score < 0 ? "against" : "");
    if (counted) add(row, "td", changes === undefined ? "" : `${changes} of ${inputs}`);
  }
}

function list(title, found, end, count) {
  if (!count) return;
  add(panel, "h3", `${title} ${count}`);
  rows(found.slice(0, listed).map((edge) => [edge[end], edge[2], edge[3]]));
  if (count > listed) add(panel, "p", `and ${count - listed} weaker ones`, "hint");
}

function bars(shares, name) {
  const width = 320, height = 94, base = 76;
  const top = Math.max(...shares, 1e-9);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
  const step = width / shares.length;
  shares.forEach((share, i) => {
    const tall = (62 * share) / top;
    const size = { x: i * step, y: base - tall, width: Math.max(step - 1, 0.8), height: tall };
    const bar = make("rect", { class: share === top ? "bar best" : "bar", ...size });
    bar.append(make("title", {}, `frequency ${i + 1}: ${percent(share)}`));
    svg.append(bar);
  });
  const best = shares.indexOf(top);
  svg.append(make("line", { class: "rule", x1: 0, x2: width, y1: base, y2: base }));
  const middle = Math.min(Math.max((best + 0.5) * step, 12), width - 12);
  const say = (x, anchor, text) => svg.append(make("text", { x, y: height - 3, "text-anchor": anchor }, text));
  if (middle > 30) say(0, "start", "1");
  if (middle < width - 40) say(width, "end", String(shares.length));
  say(middle, "middle", String(best + 1));
  panel.append(svg);
}

function spectrum(whole) {
  const shares = whole.map((part) => part / parts);
  const top = Math.max(...shares);
  if (!top) return;
  add(panel, "h3", `Spectrum: ${percent(top)} of its variance at frequency ${shares.indexOf(top) + 1}`);
  bars(shares, "spectrum by frequency");
}

function attention(shares) {
  add(panel, "h3", "Attends to, mean over inputs");
  const table = add(panel, "table", undefined, "attention");
  shares.forEach((share, i) => {
    const row = add(table, "tr");
    add(row, "td", tokens[i] ?? String(i));
    const meter = add(add(row, "td"), "div", undefined, "meter");
    meter.style.width = `${Math.min(Math.max(100 * share, 0), 100)}%`;
    add(row, "td", percent(share));
  });
}

const address = (i) => `#${encodeURIComponent(nodes[i].name)}`;
const remember = () => history.replaceState(null, "", pinned >= 0 ? address(pinned) : "#");

function overview() {
  [shown, pinned] = [-1, -1];
  remember();
  for (const { svg, own, ring } of drawings) {
    svg.classList.remove("busy");
    own.replaceChildren();
    ring.setAttribute("r", 0);
  }
  panel.replaceChildren();
  panel.classList.remove("on");
  add(panel, "h2", "Strongest nodes");
  rows(ranked.slice(0, TOP).map((i) => [i, nodes[i].score]));
}

function trace({ svg, at, own, ring }, i, mine) {
  const [x, y, r] = at[i];
  ring.setAttribute("cx", x);
  ring.setAttribute("cy", y);
  ring.setAttribute("r", r + 3.5);
  svg.classList.add("busy");
  const greatest = Math.max(...mine.map((edge) => Math.abs(edge[2] ?? 0)));
  own.replaceChildren(...mine.map(([s, t, score]) => {
    const share = greatest ? Math.abs(score ?? 0) / greatest : 1;
    return make("line", {
      class: score < 0 ? "edge against" : "edge", x1: at[s][0], y1: at[s][1], x2: at[t][0], y2: at[t][1],
      "stroke-width": 0.8 + 4 * share, "stroke-opacity": 0.35 + 0.6 * share,
    });
  }));
}

function show(i) {
  for (const { ring } of drawings) ring.classList.toggle("pinned", pinned >= 0);
  if (i === shown) return;
  shown = i;
  const node = nodes[i];
  for (const drawing of drawings) trace(drawing, i, [...feeds[i], ...fed[i]]);
  panel.replaceChildren();
  panel.classList.add("on");
  const close = add(panel, "button", "Clear", "close");
  close.type = "button";
  close.addEventListener("click", overview);
  add(panel, "h2", node.name);
  const rank = ranked.indexOf(i) + 1;
  const place = rank ? `, ${rank === 1 ? "the strongest" : `number ${rank}`} of ${ranked.length}` : "";
  add(panel, "p", `Attribution: ${say(node.score)}${place}${node.in ? "" : "; not in the circuit"}`);
  if (node.attention) attention(node.attention);
  if (node.spectrum) spectrum(node.spectrum);
  list("Feeds", feeds[i], 1, node.degree[0]);
  list("Fed by", fed[i], 0, node.degree[1]);
}

function pin(i) {
  if (i < 0) return overview();
  pinned = i === pinned ? -1 : i;
  remember();
  show(i);
  if (getComputedStyle(panel).bottom !== "0px") return;
  const ring = drawings.find(({ svg }) => svg.clientWidth).ring.getBoundingClientRect();
  window.scrollBy(0, Math.max(0, ring.bottom + 24 - (window.innerHeight - panel.offsetHeight)));
}

function nearest({ svg, at }, event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  let best = -1, least = 40 ** 2;
  at.forEach(([x, y], i) => {
    const far = (x - point.x) ** 2 + (y - point.y) ** 2;
    if (far < least) [best, least] = [i, far];
  });
  return best;
}

function beside(at, [dx, dy]) {
  let best = shown, least = Infinity;
  at.forEach(([x, y], i) => {
    const [across, down] = [x - at[shown][0], y - at[shown][1]];
    const along = across * dx + down * dy;
    const cost = along + 3 * Math.abs(across * dy + down * dx);
    if (along > 1 && cost < least) [best, least] = [i, cost];
  });
  return best;
}

const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
for (const drawing of drawings) {
  drawing.svg.addEventListener("pointermove", (event) => {
    if (pinned >= 0 || event.pointerType === "touch") return;
    const i = nearest(drawing, event);
    if (i >= 0) show(i);
  });
  drawing.svg.addEventListener("click", (event) => pin(nearest(drawing, event)));
  drawing.svg.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    if (!move) {
      if (shown >= 0) pin(shown);
      return;
    }
    const next = shown < 0 ? 0 : beside(drawing.at, move);
    if (pinned >= 0) {
      pinned = next;
      remember();
    }
    show(next);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") overview();
});

const find = document.getElementById("find");
document.getElementById("names").append(...nodes.map(({ name }) => new Option(name)));
find.addEventListener("input", () => {
  const i = nodes.findIndex(({ name }) => name === find.value.trim());
  if (i < 0) return;
  pinned = -1;
  pin(i);
});

let chosen = null;
function highlight(frequency) {
  for (const { svg, dots } of drawings) {
    svg.classList.toggle("chosen", frequency !== null);
    dots.forEach((dot, i) => dot.classList.toggle("lit", frequency !== null && nodes[i].frequency === frequency));
  }
}
for (const button of document.querySelectorAll("[data-frequency]")) {
  const own = Number(button.dataset.frequency);
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => highlight(own));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => highlight(chosen));
  button.addEventListener("click", () => {
    chosen = chosen === own ? null : own;
    for (const other of document.querySelectorAll("[data-frequency]")) {
      other.setAttribute("aria-pressed", String(Number(other.dataset.frequency) === chosen));
    }
    highlight(chosen);
  });
}
const linked = nodes.findIndex((_, i) => address(i) === location.hash);
overview();
if (linked >= 0) pin(linked);
