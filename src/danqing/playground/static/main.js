// The page: connects its parts to clicks, and draws what the form asks for.

import { Failure, createApi } from "./api.js";
import { connectCode } from "./code.js";
import { cellsOf, connectCompare, isCompared, joined } from "./compare.js";
import { watchEngine } from "./engine.js";
import { problemsOf, requestBody, setDefaults, sizeOf } from "./fields.js";
import { connectForm } from "./form.js";
import { follow, forget, remember, remembered } from "./job.js";
import { apiKey } from "./key.js";
import { showIdeas } from "./mini.js";
import { balanceCredits, loadPrice, priceOf, showPrice, updateBalance } from "./money.js";
import { hideNotice, showNotice } from "./notice.js";
import { connectResults } from "./results.js";
import { showGrid, showProgress } from "./stage.js";
import { connectTheme } from "./theme.js";
import { explain } from "./wording.js";
import { connectWords } from "./words.js";

const ENGINE_MAY_BE_AWAY = ["overloaded", "engine_crashed", "unreachable"];

const element = (id) => document.getElementById(id);

let runningId = null;
// The form reports its first settings before they are connected.
let compare = null;
let words = null;

apiKey.takeFromAddress();
connectTheme();
const api = createApi(apiKey.read);
// If the server does not say, the documented defaults stand.
const info = await api.modelInfo().catch(() => ({}));
setDefaults(info.defaults ?? {});
const form = connectForm({ onChange: changed, withoutEffect: info.without_effect ?? {}, isCompared: (field) => isCompared(compare?.read(), field) });
compare = connectCompare({ onChange: () => form.report(), readSettings: form.read });
words = connectWords({ isWanted: () => info.has_vocabulary === true && Boolean(apiKey.read()), estimate: api.estimate });
words.check(form.read().prompt);
const code = connectCode();
const keyDialog = apiKey.connectDialog({ onChange: () => updateBalance(api) });
const results = connectResults({ isRunning: () => runningId !== null, onReuse: reuse, onCode: ({ settings }) => code.open(settings), announce });

function changed(settings) {
  const comparison = compare?.read() ?? null;
  element("num_images-field").disabled = comparison !== null;
  element("num_images-reason").textContent = comparison ? "Off: a comparison draws one for each value." : "";
  words?.check(settings.prompt);
  showPrice(settings, comparison);
}

function announce(text) {
  element("announcer").textContent = text;
}

function setRunning(id) {
  runningId = id;
  element("draw").hidden = id !== null;
  element("cancel").hidden = id === null;
  element("cancel").disabled = false;
  element("stage").setAttribute("aria-busy", String(id !== null));
}

async function draw() {
  if (runningId !== null) return;
  hideNotice();
  const settings = form.readForRequest();
  const problems = problemsOf(settings);
  form.mark(problems);
  const comparison = compare.read();
  if (comparison && compare.problem()) element("compare").open = true;
  if (problems.length || compare.problem()) return;
  // Set before the first response: a second click must not submit twice.
  setRunning("");
  await (comparison ? showComparison(settings, comparison) : show(() => submit(settings)));
}

async function submit(settings) {
  const running = { id: await api.submit(requestBody(settings)), settings, startedAt: Date.now() };
  remember(running);
  return running;
}

// Submit or resume a job, and follow it to its end.
async function show(begin) {
  await busy(async () => {
    const running = await begin();
    setRunning(running.id);
    announce("Drawing has begun.");
    element("stage").dataset.state = "drawing";
    const following = follow(api, running, announce);
    // On a phone the new frames are above the form.
    element("stage").scrollIntoView();
    await results.add(await following);
  });
}

// One job after the other: the server is fair between accounts, and one stream at a time leaves room for the rest.
async function showComparison(settings, comparison) {
  const cells = cellsOf(comparison, settings);
  await busy(async () => {
    const startedAt = Date.now();
    const parts = [];
    announce(`Drawing ${cells.length} pictures has begun.`);
    element("stage").dataset.state = "drawing";
    showGrid({ labels: cells.map(({ label }) => label), numColumns: comparison.columns.values.length, size: sizeOf(settings) });
    element("stage").scrollIntoView();
    for (const [index, cell] of cells.entries()) {
      const running = await submit(cell.settings);
      setRunning(running.id);
      parts.push(await follow(api, running, announce, { cell: index, numCells: cells.length }));
    }
    await results.add(joined(parts, { settings, comparison, startedAt }));
  });
}

async function busy(work) {
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    await fail(failure, form.read());
  } finally {
    forget();
    showProgress(null);
    const hadFocus = document.activeElement === element("cancel");
    setRunning(null);
    if (hadFocus) element("draw").focus();
    updateBalance(api);
  }
}

async function fail(failure, settings) {
  element("stage").dataset.state = "failed";
  if (failure.code === "cancelled") {
    showNotice({ title: "Cancelled.", text: "Nothing was charged.", calm: true });
    return;
  }
  if (failure.code === "invalid_payload") form.mark(failure.issues);
  if (failure.code === "insufficient_credits") await updateBalance(api);
  if (ENGINE_MAY_BE_AWAY.includes(failure.code)) watchEngine(api);
  const words = explain(failure, { hasKey: Boolean(apiKey.read()), priceCredits: priceOf(settings, null), balanceCredits });
  const actions = { key: [["Change the key", keyDialog.open]], again: [["Try again", draw]] }[words.does] ?? [];
  showNotice({ ...words, actions });
}

async function cancel() {
  if (!runningId) return;
  element("cancel").disabled = true;
  try {
    await api.cancel(runningId);
  } catch (failure) {
    element("cancel").disabled = false;
    await fail(failure, form.read());
  }
}

function connectButtons() {
  element("form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  element("cancel").addEventListener("click", cancel);
  element("open-code").addEventListener("click", () => code.open(form.read()));
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) draw();
    if (event.key === "Escape") cancel();
  });
  if (/Mac|iPhone|iPad/.test(navigator.platform)) element("draw-keys").textContent = "⌘ ↵";
}

function reuse({ settings, comparison = null }) {
  form.write(settings);
  compare.write(comparison);
  form.setLocked(true);
  element("prompt").focus();
  announce("The form has the settings of this result. Its seed is kept.");
}

function chooseIdea(prompt) {
  form.write({ ...form.read(), prompt });
  element("prompt").focus();
}

async function start() {
  showIdeas({ onChoose: chooseIdea });
  connectButtons();
  // A click before this would send the form as a link, with the prompt in the address.
  element("draw").disabled = false;
  performance.mark("danqing-interactive");
  watchEngine(api);
  updateBalance(api);
  await results.open();
  await loadPrice(api);
  showPrice(form.read(), compare.read());
  const running = remembered();
  if (running !== null && apiKey.read()) {
    setRunning("");
    await show(async () => running);
  }
}

await start();
