// Elements and words that all views of the console are built from.

import { CREDITS_PER_USD, inSeconds } from "../playground/wording.js";

// An element with properties, `data-…` and `aria-…` attributes, listeners (`onclick`) and children.
export function build(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// `columns`: { name, label, numeric }. `rows`: one object a row, of cell contents by column name. On a phone each row of
// a `list` is a card of its own.
export function table({ caption, columns, rows, empty, list = false }) {
  const head = columns.map(({ label, numeric }) => build("th", { scope: "col", className: numeric ? "number" : "" }, label));
  const cell = (row, { name, label, numeric }) => build("td", { className: numeric ? "number" : "", "data-label": label }, row[name] ?? "–");
  const body = rows.map((row) => build("tr", {}, columns.map((column) => cell(row, column))));
  const whole = build("table", {}, build("caption", { className: "unseen" }, caption), build("thead", {}, build("tr", {}, head)), build("tbody", {}, body));
  return rows.length ? build("div", { className: list ? "table list" : "table" }, whole) : build("p", { className: "empty" }, empty);
}

export function button(label, onclick, properties = {}) {
  return build("button", { type: "button", className: "quiet", onclick, ...properties }, label);
}

export function pairs(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined);
  return build("dl", { className: "pairs" }, shown.map(([name, value]) => build("div", {}, build("dt", {}, name), build("dd", {}, value))));
}

const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const timeElement = (moment) => (moment ? build("time", { dateTime: moment }, TIME.format(new Date(moment))) : "never");
export const dayName = (day) => DATE.format(new Date(`${day}T12:00:00`));

export const inUsd = (usd) => `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: usd !== 0 && Math.abs(usd) < 1 ? 3 : 2 })}`;
export const creditsInUsd = (credits) => inUsd(credits / CREDITS_PER_USD);

export const inTime = (milliseconds) => (milliseconds < 1000 ? `${milliseconds} ms` : inSeconds(milliseconds));

export const plural = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
