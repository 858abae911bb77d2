// A chart of stacked bars, one bar a day: drawn as SVG, read with the arrow keys, and with a table behind it.

import { build, dayName, plural, table } from "./build.js";

const SVG = "http://www.w3.org/2000/svg";
// Wide or narrow, so that letters have about the size of the text around them.
const WIDTH = matchMedia("(max-width: 699px)").matches ? 400 : 1080;
const HEIGHT = 260;
const LEFT = 36;
const BOTTOM = 24;
const TOP = 10;
const MAX_SERIES = 5;
const REST = "others";
const MIN_LABEL_PX = 46;

// `days`: dates in order. `counts`: a Map from date to a Map from series to a number. `noun`: what is counted.
export function barChart({ days, counts, noun, title }) {
  const series = chooseSeries(counts);
  const bars = days.map((day) => ({ day, parts: series.map((name) => partOf(counts.get(day), name, series)) }));
  const totals = bars.map(({ parts }) => sum(parts));
  const top = niceTop(Math.max(...totals, 1));
  const said = build("p", { className: "chart-said", "aria-hidden": "true" }, `${plural(sum(totals), noun)} in ${plural(days.length, "day")}`);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `${title}. Arrow keys move from day to day.` });
  svg.append(...grid(top), ...labels(days), ...bars.map((bar, index) => dayBar({ ...bar, index, count: days.length, top, series, noun, said })));
  connectKeys(svg);
  const legend = build("ul", { className: "legend" }, series.map((name, index) => build("li", { className: "" }, build("span", { className: `series-${index}`, "aria-hidden": "true" }), name)));
  const columns = [{ name: "day", label: "Day" }, ...series.map((name) => ({ name, label: name, numeric: true })), { name: "all", label: "All", numeric: true }];
  const rows = bars.map(({ day, parts }, index) => ({ day, all: String(totals[index]), ...Object.fromEntries(series.map((name, part) => [name, String(parts[part])])) }));
  const behind = build("details", { className: "behind" }, build("summary", {}, "As a table"), table({ caption: title, columns, rows: rows.toReversed(), empty: "" }));
  return build("figure", { className: "chart" }, svg, series.length > 0 ? legend : null, said, behind);
}

// The series with most, and one for the rest.
function chooseSeries(counts) {
  const totals = new Map();
  for (const parts of counts.values()) for (const [name, count] of parts) totals.set(name, (totals.get(name) ?? 0) + count);
  const names = [...totals].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return names.length > MAX_SERIES + 1 ? [...names.slice(0, MAX_SERIES), REST] : names;
}

function partOf(parts, name, series) {
  if (parts === undefined) return 0;
  if (name !== REST) return parts.get(name) ?? 0;
  return sum([...parts].filter(([other]) => !series.includes(other)).map(([, count]) => count));
}

function dayBar({ day, parts, index, count, top, series, noun, said }) {
  const step = (WIDTH - LEFT) / count;
  const words = [plural(sum(parts), noun), ...parts.map((part, at) => (part && series.length > 1 ? `${series[at]} ${part}` : null)).filter(Boolean)];
  const label = `${dayName(day)}: ${words.join(", ")}`;
  const group = shape("g", { class: "day", role: "img", tabindex: index === count - 1 ? 0 : -1, "aria-label": label });
  group.append(shape("rect", { class: "hit", x: LEFT + index * step, y: TOP, width: step, height: HEIGHT - TOP - BOTTOM }));
  let y = HEIGHT - BOTTOM;
  for (const [at, part] of parts.entries()) {
    if (!part) continue;
    const height = (part / top) * (HEIGHT - TOP - BOTTOM);
    y -= height;
    group.append(shape("rect", { class: `series-${at}`, x: LEFT + index * step + step * 0.14, y, width: step * 0.72, height: Math.max(height, 1) }));
  }
  const say = () => (said.textContent = label);
  group.addEventListener("focus", say);
  group.addEventListener("mouseenter", say);
  return group;
}

function connectKeys(svg) {
  svg.addEventListener("keydown", (event) => {
    const days = [...svg.querySelectorAll(".day")];
    const at = days.indexOf(document.activeElement);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: days.length - 1 }[event.key];
    if (at < 0 || days[next] === undefined) return;
    event.preventDefault();
    days[at].setAttribute("tabindex", "-1");
    days[next].setAttribute("tabindex", "0");
    days[next].focus();
  });
}

function grid(top) {
  return [0, top / 2, top].filter((value) => Number.isInteger(value)).flatMap((value) => {
    const y = HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    const text = shape("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end", "aria-hidden": "true" });
    text.textContent = value;
    return [shape("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y }), text];
  });
}

function labels(days) {
  const step = (WIDTH - LEFT) / days.length;
  const every = Math.ceil(MIN_LABEL_PX / step);
  return days.flatMap((day, index) => {
    if ((days.length - 1 - index) % every) return [];
    const last = index === days.length - 1;
    const text = shape("text", { x: last ? WIDTH : LEFT + (index + 0.5) * step, y: HEIGHT - 7, "text-anchor": last ? "end" : "middle", "aria-hidden": "true" });
    text.textContent = dayName(day);
    return [text];
  });
}

// The next of 1, 2, 4, 10, 20, 40 … : halves of them are whole or left out.
function niceTop(most) {
  let top = 1;
  for (let index = 0; top < most; index += 1) top *= [2, 2, 2.5][index % 3];
  return top;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
