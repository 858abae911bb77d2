// One request: what was asked for, how long its parts took, its pictures, the error as its client saw it.

import { SIZES } from "../playground/fields.js";
import { keepSettings } from "../playground/form.js";
import { build, button, inTime, inUsd, pairs, plural, table, timeElement } from "./build.js";
import { outcome } from "./logs.js";

const PARTS = { queue: "Queue", expand: "Expansion", draw: "Drawing", check: "Image check", store: "Encoding and storing" };

export async function showRequest({ admin, content, id }) {
  const request = await admin.request(id);
  const { parameters } = request;
  content.append(
    build("p", {}, build("a", { href: "#logs" }, "← All requests")),
    build("section", { className: "panel" }, build("p", { className: "said" }, parameters.prompt), request.revised_prompt ? build("p", { className: "revised" }, `Expanded to: ${request.revised_prompt}`) : null, facts(request), build("div", { className: "tools" }, button("Draw again in the playground", () => drawAgain(parameters)))),
    ...(request.error ? [errorPanel(request.error)] : []),
    ...(request.images.length ? [pictures(request.images, parameters.prompt)] : []),
    ...(request.warnings.length ? [panel("Warnings", build("ul", { className: "bullets" }, request.warnings.map((text) => build("li", {}, text))))] : []),
    timings(request.timings),
    panel("Parameters", pairs(Object.entries(parameters).filter(([name]) => name !== "prompt").map(([name, value]) => [name, wordsOf(value)]))),
  );
}

function facts(request) {
  return pairs([
    ["Outcome", outcome(request)],
    ["Request", build("code", {}, request.inference_id)],
    ["Made", timeElement(request.created)],
    ["Key", build("code", {}, request.api_key_prefix)],
    ["From", request.origin],
    ["Cost", `${inUsd(request.cost.usd)} · ${request.cost.credits.toLocaleString("en-US")} credits`],
    ["Drawn by", request.engine],
    ["Client's own id", request.client_request_id],
  ]);
}

const panel = (title, ...content) => build("section", { className: "panel", "aria-label": title }, build("h3", {}, title), ...content);

function errorPanel({ status, error }) {
  return panel("The error as the client saw it", build("p", {}, `${status}: ${error.message}`), build("pre", { tabIndex: 0 }, JSON.stringify(error, null, 2)));
}

function pictures(images, prompt) {
  const items = images.map((image, index) => {
    const name = `Picture ${index + 1}, seed ${image.seed}, ${image.width} × ${image.height}`;
    // The link may name the address that other clients use; the page asks the server that it came from.
    const path = image.url?.slice(image.url.lastIndexOf("files/b/"));
    const shown = path ? build("a", { href: path, target: "_blank" }, build("img", { src: path, alt: `${name}: ${prompt}`, loading: "lazy" })) : build("p", { className: "empty" }, "Its link has expired.");
    const until = image.expires_at ? [" · until ", timeElement(image.expires_at)] : [];
    return build("li", {}, shown, build("p", { className: "hint" }, name, image.flagged ? " · blacked out by the image check" : "", ...until));
  });
  return panel(plural(images.length, "picture"), build("ul", { className: "pictures" }, items));
}

function timings(measured) {
  const parts = Object.entries(PARTS).filter(([name]) => measured[name] !== null);
  const longest = Math.max(...parts.map(([name]) => measured[name]), 1);
  const rows = parts.map(([name, label]) => ({ part: label, time: inTime(measured[name]), bar: build("progress", { max: longest, value: measured[name], "aria-label": `${label}: ${inTime(measured[name])}` }) }));
  rows.push({ part: build("b", {}, "From request to end"), time: build("b", {}, inTime(measured.total)), bar: "" });
  const columns = [{ name: "part", label: "Part" }, { name: "bar", label: "" }, { name: "time", label: "Time", numeric: true }];
  return panel("Timings", table({ caption: "Timings", columns, rows, empty: "" }), build("p", { className: "hint" }, "Check and storing are sums over the pictures, and happen while others are drawn."));
}

function wordsOf(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  if (value === null || value === "") return "–";
  return typeof value === "object" ? `${value.width} × ${value.height}` : String(value);
}

function drawAgain({ image_size: size, output_compression: quality, ...parameters }) {
  const preset = SIZES.find(({ width, height }) => width === size.width && height === size.height);
  keepSettings({ ...parameters, image_size: preset?.name ?? size, ...(quality === null ? {} : { output_compression: quality }) }, { locked: true });
  location.href = new URL("./", document.baseURI).href;
}
