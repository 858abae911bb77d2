// The result on the stage and the earlier ones below it, which this browser keeps.

import { cellsOf } from "./compare.js";
import { gridImage } from "./grid_image.js";
import { openHistory } from "./history.js";
import { fileName } from "./job.js";
import { hideNotice, showNotice } from "./notice.js";
import { showResult } from "./result.js";
import { showFrames, showGrid, showImage, showProgress, showRest } from "./stage.js";
import { showStrip } from "./strip.js";

const RELEASE_MILLISECONDS = 60_000;

const element = (id) => document.getElementById(id);

export function connectResults({ isRunning, onReuse, onCode, announce }) {
  let shown = null;
  let past = null;

  async function updateStrip() {
    showStrip(await past.list(), { currentId: shown?.id, onChoose: showEarlier });
  }

  function showEarlier(result) {
    if (isRunning()) return;
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
    await past.remove(shown.id);
    shown = null;
    showRest();
    await updateStrip();
  }

  async function clear() {
    if (!confirm("Remove all results from this browser?")) return;
    await past.clear();
    if (!isRunning()) showRest();
    await updateStrip();
  }

  element("result-code").addEventListener("click", () => onCode(shown));
  element("reuse").addEventListener("click", () => onReuse(shown));
  element("forget").addEventListener("click", remove);
  element("clear-history").addEventListener("click", clear);
  element("download").addEventListener("click", () => {
    if (shown.comparison) return saveGrid(shown);
    for (const link of document.querySelectorAll("#tiles a[download]")) link.click();
  });
  return {
    async open() {
      past = await openHistory().catch(noHistory);
      await updateStrip();
    },
    // A result that has just been drawn: its images are on the stage already.
    async add(result) {
      shown = result;
      element("stage").dataset.state = "done";
      showProgress(null);
      showResult(result);
      announce(`Finished: ${result.settings.prompt}`);
      try {
        await past.add(result);
      } catch {
        showNotice({ title: "The history is full.", text: "The browser has no room for this result; download it if you like it.", calm: true });
      }
      await updateStrip();
    },
  };
}

async function saveGrid(result) {
  const url = URL.createObjectURL(await gridImage(result));
  const name = fileName(result.settings, { seed: "comparison", content_type: "image/png" });
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), RELEASE_MILLISECONDS);
}

// Some private windows store nothing.
function noHistory() {
  showNotice({ title: "This browser keeps no history here.", text: "Download what you like before you leave the page.", calm: true });
  return { list: async () => [], add: async () => {}, remove: async () => {}, clear: async () => {} };
}
