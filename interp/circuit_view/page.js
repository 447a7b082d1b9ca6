"use strict";
const { nodes, edges, order } = JSON.parse(document.getElementById("data").textContent);
const graph = document.getElementById("graph");
const own = document.getElementById("own");
const ring = document.getElementById("ring");
const panel = document.getElementById("panel");
const feeds = nodes.map(() => []);
const fed = nodes.map(() => []);
for (const edge of edges) {
  feeds[edge[0]].push(edge);
  fed[edge[1]].push(edge);
}
const LISTED = 8;
let shown = -1;

const say = (score) => (score === null ? "no score" : String(Number(score.toPrecision(3))));

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

function list(title, found, end) {
  if (!found.length) return;
  add(panel, "h3", `${title} ${found.length}`);
  const table = add(panel, "table");
  const sorted = [...found].sort((a, b) => Math.abs(b[2] ?? 0) - Math.abs(a[2] ?? 0));
  for (const edge of sorted.slice(0, LISTED)) {
    const row = add(table, "tr");
    add(row, "td", nodes[edge[end]].name);
    const changes = edge[3] === null ? "" : `, removal changes ${edge[3]}`;
    add(row, "td", say(edge[2]) + changes, edge[2] < 0 ? "against" : "");
  }
  if (sorted.length > LISTED) add(panel, "p", `and ${sorted.length - LISTED} weaker ones`, "hint");
}

function spectrum(shares) {
  const width = 320, height = 90, base = 72;
  const top = Math.max(...shares, 1e-9);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "spectrum" });
  const step = width / shares.length;
  shares.forEach((share, i) => {
    const tall = (60 * share) / top;
    const bar = make("rect", { class: "bar", x: i * step, y: base - tall, width: Math.max(step - 1, 0.8), height: tall });
    bar.append(make("title", {}, `frequency ${i + 1}: ${(100 * share).toFixed(1)}%`));
    svg.append(bar);
  });
  const best = shares.indexOf(Math.max(...shares));
  svg.append(make("line", { class: "rule", x1: 0, x2: width, y1: base, y2: base }));
  svg.append(make("text", { x: 0, y: height - 3 }, "1"));
  svg.append(make("text", { x: width, y: height - 3, "text-anchor": "end" }, String(shares.length)));
  add(panel, "h3", `Spectrum: ${(100 * top).toFixed(1)}% of its variance at frequency ${best + 1}`);
  panel.append(svg);
}

function show(i) {
  if (i === shown) return;
  shown = i;
  const node = nodes[i];
  ring.setAttribute("cx", node.at[0]);
  ring.setAttribute("cy", node.at[1]);
  ring.setAttribute("r", node.at[2] + 3);
  graph.classList.add("busy");
  const mine = [...feeds[i], ...fed[i]];
  const greatest = Math.max(...mine.map((edge) => Math.abs(edge[2] ?? 0)));
  own.replaceChildren(...mine.map(([s, r, score]) => {
    const share = greatest ? Math.abs(score ?? 0) / greatest : 1;
    const [a, b] = [nodes[s].at, nodes[r].at];
    return make("line", {
      class: score < 0 ? "edge against" : "edge", x1: a[0], y1: a[1], x2: b[0], y2: b[1],
      "stroke-width": 0.8 + 4 * share, "stroke-opacity": 0.35 + 0.6 * share,
    });
  }));
  panel.replaceChildren();
  add(panel, "h2", node.name);
  add(panel, "p", `Attribution: ${say(node.score)}${node.in_circuit ? "" : "; not in the circuit"}`);
  if (node.spectrum && node.spectrum.some((share) => share > 0)) spectrum(node.spectrum);
  list("Feeds", feeds[i], 1);
  list("Fed by", fed[i], 0);
}

function nearest(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(graph.getScreenCTM().inverse());
  let best = -1, least = 40 ** 2;
  nodes.forEach(({ at }, i) => {
    const far = (at[0] - point.x) ** 2 + (at[1] - point.y) ** 2;
    if (far < least) [best, least] = [i, far];
  });
  if (best >= 0) show(best);
}

graph.addEventListener("pointermove", nearest);
graph.addEventListener("pointerdown", nearest);
graph.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = order.indexOf(shown);
  show(order[(at + step + order.length) % order.length]);
});
