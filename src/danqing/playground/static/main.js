// The page: connects its parts to clicks and keeps engine, balance and history up to date.

import { Failure, createApi } from "./api.js";
import { connectCode } from "./code.js";
import { cellsOf, connectCompare, countOf } from "./compare.js";
import { problemsOf, requestBody, setDefaults, sizeOf } from "./fields.js";
import { connectForm } from "./form.js";
import { gridImage } from "./grid_image.js";
import { openHistory } from "./history.js";
import { fileName, follow, forget, remember, remembered } from "./job.js";
import { apiKey } from "./key.js";
import { MINI_NOTE, showIdeas } from "./mini.js";
import { hideNotice, showNotice } from "./notice.js";
import { showResult } from "./result.js";
import { showFrames, showGrid, showImage, showProgress, showRest } from "./stage.js";
import { showStrip } from "./strip.js";
import { connectTheme } from "./theme.js";
import { explain, inCredits, inDollars, priceCredits } from "./wording.js";
import { connectWords } from "./words.js";

const ENGINE_POLL_MILLISECONDS = 2000;
const RELEASE_MILLISECONDS = 60_000;
const ENGINE_MAY_BE_AWAY = ["overloaded", "engine_crashed", "unreachable"];

const element = (id) => document.getElementById(id);

let megapixelCredits = null;
let balanceCredits = null;
let runningId = null;
let shown = null;
let pastResults = null;
let watchingEngine = false;
// The form reports its first settings before they are connected.
let compare = null;
let words = null;

apiKey.takeFromAddress();
connectTheme();
const api = createApi(apiKey.read);
// If the server does not say, the documented defaults stand.
const info = await api.modelInfo().catch(() => ({}));
setDefaults(info.defaults ?? {});
const form = connectForm({ onChange: changed, withoutEffect: info.without_effect ?? {} });
compare = connectCompare({ onChange: () => changed(), readSettings: form.read });
words = connectWords({ isWanted: () => info.has_vocabulary === true && Boolean(apiKey.read()), estimate: api.estimate });
words.check(form.read().prompt);
const code = connectCode();
const keyDialog = apiKey.connectDialog({ onChange: updateBalance });

function changed(settings = form.read()) {
  const comparison = compare?.read() ?? null;
  element("num_images-field").disabled = comparison !== null;
  element("num_images-reason").textContent = comparison ? "Off: a comparison draws one for each value." : "";
  words?.check(settings.prompt);
  showPrice(settings, comparison);
}

function showPrice(settings = form.read(), comparison = compare.read()) {
  if (megapixelCredits === null) return;
  const size = sizeOf(settings);
  const price = priceCredits(size, comparison ? countOf(comparison) : settings.num_images, megapixelCredits);
  const amount = Object.assign(document.createElement("b"), { textContent: Number.isFinite(price) ? inCredits(price) : "" });
  element("price").replaceChildren(amount, Number.isFinite(price) ? `${inDollars(price)}${size ? "" : " at most"}` : "");
}

async function updateBalance() {
  balanceCredits = apiKey.read() ? await api.balance().catch(() => null) : null;
  const left = balanceCredits === null ? [] : [Object.assign(document.createElement("b"), { textContent: inDollars(balanceCredits) }), Object.assign(document.createElement("span"), { className: "long", textContent: ` · ${inCredits(balanceCredits)}` }), " left"];
  element("credits").replaceChildren(...left);
}

function showEngine(state, name) {
  element("engine").dataset.state = state;
  element("engine-name").textContent = element("engine").title = name;
}

// Poll until the engine is ready, in one loop at a time.
async function watchEngine() {
  if (watchingEngine) return;
  watchingEngine = true;
  while (true) {
    try {
      const name = await api.engine();
      watchingEngine = false;
      showEngine("ready", name);
      element("engine-note").hidden = !/^mini\b/.test(name);
      element("engine-note").textContent = MINI_NOTE;
      return;
    } catch (failure) {
      if (failure.code === "unreachable") showEngine("away", "The server cannot be reached");
      else showEngine("starting", "The engine is starting");
    }
    await new Promise((done) => setTimeout(done, ENGINE_POLL_MILLISECONDS));
  }
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
    await finish(await following);
  });
}

// One job after the other: the server is fair between accounts, and one stream at a time leaves room for the rest.
async function showComparison(settings, comparison) {
  const cells = cellsOf(comparison, settings);
  await busy(async () => {
    const startedAt = Date.now();
    const results = [];
    announce(`Drawing ${cells.length} pictures has begun.`);
    element("stage").dataset.state = "drawing";
    showGrid({ labels: cells.map(({ label }) => label), numColumns: comparison.columns.values.length, size: sizeOf(settings) });
    element("stage").scrollIntoView();
    for (const [index, cell] of cells.entries()) {
      const running = await submit(cell.settings);
      setRunning(running.id);
      results.push(await follow(api, running, announce, { cell: index, numCells: cells.length }));
    }
    await finish(joined(results, { settings, comparison, startedAt }));
  });
}

// A comparison in the history is one result with the pictures of all its cells.
function joined(results, { settings, comparison, startedAt }) {
  return {
    ...results[0],
    settings: { ...settings, num_images: 1 },
    comparison,
    images: results.flatMap(({ images }) => images),
    milliseconds: Date.now() - startedAt,
    creditsUsed: results.reduce((sum, { creditsUsed }) => sum + creditsUsed, 0),
    warnings: [...new Set(results.flatMap(({ warnings }) => warnings))],
  };
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
    updateBalance();
  }
}

async function finish(result) {
  shown = result;
  element("stage").dataset.state = "done";
  showProgress(null);
  showResult(result);
  announce(`Finished: ${result.settings.prompt}`);
  try {
    await pastResults.add(result);
  } catch {
    showNotice({ title: "The history is full.", text: "The browser has no room for this result; download it if you like it.", calm: true });
  }
  await updateStrip();
}

async function fail(failure, settings) {
  element("stage").dataset.state = "failed";
  if (failure.code === "cancelled") {
    showNotice({ title: "Cancelled.", text: "Nothing was charged.", calm: true });
    return;
  }
  if (failure.code === "invalid_payload") form.mark(failure.issues);
  if (failure.code === "insufficient_credits") await updateBalance();
  if (ENGINE_MAY_BE_AWAY.includes(failure.code)) watchEngine();
  const price = megapixelCredits === null ? null : priceCredits(sizeOf(settings), settings.num_images, megapixelCredits);
  const words = explain(failure, { hasKey: Boolean(apiKey.read()), priceCredits: price, balanceCredits });
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

async function updateStrip() {
  const all = await pastResults.list();
  showStrip(all, { currentId: shown?.id, onChoose: showEarlier });
}

function showEarlier(result) {
  if (runningId !== null) return;
  hideNotice();
  shown = result;
  element("stage").dataset.state = "done";
  if (result.comparison) showGrid({ labels: cellsOf(result.comparison, result.settings).map(({ label }) => label), numColumns: result.comparison.columns.values.length, size: result.images[0] });
  else showFrames(result.images.length, result.images[0]);
  result.images.forEach((image, index) => showImage(index, image, fileName(result.settings, image)));
  showResult(result);
  announce(`Showing: ${result.settings.prompt}`);
  for (const button of document.querySelectorAll("#strip button")) button.setAttribute("aria-current", "false");
  updateStrip();
}

async function remove() {
  await pastResults.remove(shown.id);
  shown = null;
  showRest();
  await updateStrip();
}

async function clearHistory() {
  if (!confirm("Remove all results from this browser?")) return;
  await pastResults.clear();
  if (runningId === null) showRest();
  await updateStrip();
}

function connectButtons() {
  element("form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  element("cancel").addEventListener("click", cancel);
  element("open-code").addEventListener("click", () => code.open(form.read()));
  element("result-code").addEventListener("click", () => code.open(shown.settings));
  element("download").addEventListener("click", () => {
    if (shown.comparison) return saveGrid(shown);
    for (const link of document.querySelectorAll("#tiles a[download]")) link.click();
  });
  element("reuse").addEventListener("click", () => {
    form.write(shown.settings);
    compare.write(shown.comparison ?? null);
    form.setLocked(true);
    element("prompt").focus();
    announce("The form has the settings of this result. Its seed is kept.");
  });
  element("forget").addEventListener("click", remove);
  element("clear-history").addEventListener("click", clearHistory);
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) draw();
    if (event.key === "Escape") cancel();
  });
  if (/Mac|iPhone|iPad/.test(navigator.platform)) element("draw-keys").textContent = "⌘ ↵";
}

async function saveGrid(result) {
  const url = URL.createObjectURL(await gridImage(result));
  const name = fileName(result.settings, { seed: "comparison", content_type: "image/png" });
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), RELEASE_MILLISECONDS);
}

function chooseIdea(prompt) {
  form.write({ ...form.read(), prompt });
  element("prompt").focus();
}

// Some private windows store nothing.
function noHistory() {
  showNotice({ title: "This browser keeps no history here.", text: "Download what you like before you leave the page.", calm: true });
  return { list: async () => [], add: async () => {}, remove: async () => {}, clear: async () => {} };
}

async function start() {
  showIdeas({ onChoose: chooseIdea });
  connectButtons();
  // A click before this would send the form as a link, with the prompt in the address.
  element("draw").disabled = false;
  performance.mark("danqing-interactive");
  watchEngine();
  updateBalance();
  pastResults = await openHistory().catch(noHistory);
  await updateStrip();
  megapixelCredits = (await api.price()).megapixel_credits;
  showPrice();
  const running = remembered();
  if (running !== null && apiKey.read()) {
    setRunning("");
    await show(async () => running);
  }
}

await start();
