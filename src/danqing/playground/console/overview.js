// The overview: credits, spending, pictures a day, errors, queue and engine.

import { inCredits } from "../playground/wording.js";
import { build, creditsInUsd, inUsd, plural } from "./build.js";
import { barChart } from "./chart.js";

const PERIODS = [7, 30, 90];
const GROUPINGS = { key: "by key", model: "by model" };

let chosen = { days: 30, by: "key" };

export async function showOverview(page) {
  const { admin, content } = page;
  const days = lastDays(chosen.days);
  const window = { start: startOf(days[0]).toISOString(), end: new Date().toISOString() };
  const monthDays = lastDays(new Date().getDate());
  const month = { start: startOf(monthDays[0]).toISOString(), end: window.end };
  const [balance, status, usage, thisMonth, keys] = await Promise.all([
    admin.balance(),
    admin.status(),
    admin.usage({ ...window, groupBy: `day,${chosen.by}` }),
    admin.usage({ ...month, groupBy: "day" }),
    admin.keys(),
  ]);
  const names = new Map(keys.map(({ prefix, name }) => [prefix, name ? `${name} (${prefix})` : prefix]));
  content.append(cards({ balance, status, usage, thisMonth, today: days.at(-1) }), chart({ days, usage, names, page }));
}

function cards({ balance, status, usage, thisMonth, today }) {
  const spent = (groups) => groups.reduce((total, { spend }) => total + spend, 0);
  const count = (name) => usage.groups.reduce((total, { requests }) => total + requests[name], 0);
  const [failed, total] = [count("failed"), count("total")];
  const { engine, jobs, defaults } = status;
  return build(
    "dl",
    { className: "cards" },
    card("Credits left", creditsInUsd(balance.balance), inCredits(balance.balance), { "data-state": balance.lowBalance ? "bad" : "good" }),
    card("Spent today", inUsd(spent(thisMonth.groups.filter(({ day }) => day === today))), "since midnight"),
    card("Spent this month", inUsd(spent(thisMonth.groups)), plural(thisMonth.groups.reduce((sum, { images }) => sum + images, 0), "picture")),
    card("Error rate", total ? `${((100 * failed) / total).toFixed(failed ? 1 : 0)} %` : "–", `${failed} of ${plural(total, "request")} in ${chosen.days} days`, { "data-state": failed > total / 20 ? "bad" : "good" }),
    card("Queue", `${jobs.running} running`, `${jobs.queued} waiting${jobs.accepting ? "" : ", and no new ones are accepted"}`),
    card("Engine", engine.state, `${engine.model}${engine.detail ? `: ${engine.detail}` : ""}. Draws with ${plural(defaults.num_inference_steps, "step")}, guidance ${defaults.guidance_scale}.`, { "data-state": engine.state === "ready" ? "good" : "bad", className: "card wide" }),
  );
}

function card(name, value, note, properties = {}) {
  return build("div", { className: "card", ...properties }, build("dt", {}, name), build("dd", { className: "value" }, value), build("dd", { className: "hint" }, note));
}

function chart({ days, usage, names, page }) {
  const counts = new Map();
  for (const group of usage.groups) {
    const name = chosen.by === "key" ? (names.get(group.api_key_prefix) ?? `${group.api_key_prefix} (deleted)`) : group.model;
    if (!counts.has(group.day)) counts.set(group.day, new Map());
    if (group.images) counts.get(group.day).set(name, group.images);
  }
  const choice = (label, options, value, name) =>
    build("label", {}, `${label} `, build("select", { onchange: (event) => choose(name, event.target.value, page) }, options.map(([key, text]) => build("option", { value: key, selected: String(key) === String(value) }, text))));
  const title = `Pictures a day, ${GROUPINGS[chosen.by]}`;
  return build(
    "section",
    { className: "panel", "aria-label": title },
    build("div", { className: "row" }, build("h3", {}, title), build("div", { className: "choices" }, choice("Last", PERIODS.map((each) => [each, `${each} days`]), chosen.days, "days"), choice("Stacked", Object.entries(GROUPINGS), chosen.by, "by"))),
    barChart({ days, counts, noun: "picture", title }),
    build("p", { className: "hint" }, `Days of ${usage.zone}. Requests that still run are not counted.`),
  );
}

function choose(name, value, page) {
  chosen = { ...chosen, [name]: name === "days" ? Number(value) : value };
  page.reload();
}

// The last days up to today in the browser's time zone, as 2026-11-28.
function lastDays(count) {
  const today = new Date();
  return Array.from({ length: count }, (_, index) => {
    const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() - (count - 1 - index));
    return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
  });
}

const startOf = (day) => new Date(`${day}T00:00:00`);
