// The stage: images as they form, finished or stopped.

const element = (id) => document.getElementById(id);
const TOOL_ICONS = {
  download: "M12 4v11M7.5 11 12 15.5 16.5 11M5 19.5h14",
  open: "M14 5h5v5M19 5l-8 8M17 14v5H5V7h5",
};

let tiles = [];
let urls = [];

export function showRest() {
  clear();
  element("stage").dataset.state = "rest";
  element("rest").hidden = false;
  element("tiles").hidden = element("result").hidden = element("progress").hidden = true;
}

// Empty frames of the right shape, for images to come.
export function showFrames(count, size) {
  clear();
  element("rest").hidden = element("result").hidden = true;
  element("tiles").hidden = false;
  element("tiles").dataset.count = count;
  element("tiles").classList.remove("grid");
  element("tiles").classList.toggle("wide", Boolean(size) && size.width > size.height * 1.2);
  tiles = Array.from({ length: count }, (_, index) => buildTile(index, count));
  for (const tile of tiles) setRatio(tile, size ?? { width: 1, height: 1 });
  element("tiles").replaceChildren(...tiles);
}

// Frames of a comparison: a label on each, as many in a row as there are columns.
export function showGrid({ labels, numColumns, size }) {
  showFrames(labels.length, size);
  const grid = element("tiles");
  grid.dataset.count = "grid";
  grid.classList.remove("wide");
  grid.classList.add("grid");
  grid.style.setProperty("--grid-columns", numColumns);
  grid.style.setProperty("--grid-rows", labels.length / numColumns);
  labels.forEach((label, index) => {
    tiles[index].setAttribute("aria-label", label);
    tiles[index].append(Object.assign(document.createElement("figcaption"), { textContent: label }));
  });
}

export function showStep({ image_index: index, step, num_steps: numSteps, b64_json: preview }) {
  const tile = tiles[index];
  if (!tile || tile.dataset.state === "done") return;
  tile.dataset.state = "drawing";
  tile.style.setProperty("--done", step / numSteps);
  if (preview) {
    tile.style.setProperty("--unfinished", 1 - step / numSteps);
    layer(tile, `data:image/png;base64,${preview}`, "forming");
  }
}

export function showImage(index, image, name) {
  const tile = tiles[index];
  const url = URL.createObjectURL(image.blob);
  urls.push(url);
  setRatio(tile, image);
  tile.dataset.state = "done";
  const shown = layer(tile, url, "finished", `${tile.getAttribute("aria-label")}, finished`);
  const tools = Object.assign(document.createElement("div"), { className: "tools" });
  tools.append(tool("download", "Download", { href: url, download: name }), tool("open", "Open in full", { href: url, target: "_blank" }));
  tile.append(tools);
  if (image.flagged) tile.append(Object.assign(document.createElement("p"), { className: "flagged", textContent: "The image check blacked this one out." }));
  return shown;
}

export function showStopped() {
  for (const tile of tiles) if (tile.dataset.state !== "done") tile.dataset.state = "stopped";
}

export function showProgress(fraction, text) {
  element("progress").hidden = fraction === null;
  if (fraction === null) return;
  element("progress-bar").value = fraction;
  element("progress-text").textContent = text;
}

// Each layer fades in over the one before.
async function layer(tile, src, className, alt = "") {
  const frame = tile.querySelector(".frame");
  const img = Object.assign(document.createElement("img"), { src, alt, className });
  try {
    await img.decode();
  } catch {
    return;
  }
  if (tile.dataset.state === "done" && className === "forming") return;
  if (tile.dataset.auto) setRatio(tile, { width: img.naturalWidth, height: img.naturalHeight });
  frame.append(img);
  requestAnimationFrame(() => img.classList.add("shown"));
  const before = [...frame.querySelectorAll("img")].slice(0, -1);
  setTimeout(() => before.forEach((old) => old.remove()), 600);
}

function setRatio(tile, { width, height }) {
  tile.style.setProperty("--ratio", width / height);
}

function buildTile(index, count) {
  const tile = Object.assign(document.createElement("figure"), { className: "tile" });
  tile.dataset.state = "waiting";
  tile.setAttribute("aria-label", count === 1 ? "Picture" : `Picture ${index + 1} of ${count}`);
  const frame = Object.assign(document.createElement("div"), { className: "frame" });
  frame.append(Object.assign(document.createElement("span"), { className: "steps" }));
  tile.append(frame);
  return tile;
}

function tool(icon, label, attributes) {
  const link = Object.assign(document.createElement("a"), { className: "icon", title: label, ...attributes });
  link.setAttribute("aria-label", label);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  svg.firstChild.setAttribute("d", TOOL_ICONS[icon]);
  link.append(svg);
  return link;
}

function clear() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  tiles = [];
  element("tiles").replaceChildren();
}
