// A job from its first event to its last: shows the images while they form and downloads them.

import { Failure, failureOf } from "./api.js";
import { sizeOf, withDefaults } from "./fields.js";
import { showFrames, showImage, showProgress, showStep, showStopped } from "./stage.js";
import { isObject, readStored } from "./stored.js";
import { inSeconds } from "./wording.js";

const RUNNING = "danqing.running";
const SLUG_CHARACTERS = 48;

// A job outlives a reload of the page: its id is enough to follow it again.
export const remember = (running) => localStorage.setItem(RUNNING, JSON.stringify(running));
export const forget = () => localStorage.removeItem(RUNNING);
export function remembered() {
  const { id, settings, startedAt } = readStored(RUNNING);
  return typeof id === "string" && isObject(settings) ? { id, settings: withDefaults(settings), startedAt: Number(startedAt) || Date.now() } : null;
}

export function fileName(settings, image) {
  const slug = settings.prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, SLUG_CHARACTERS);
  return `${slug || "picture"}-${image.seed}.${image.content_type === "image/jpeg" ? "jpg" : "png"}`;
}

// Follow the job to its end and return its result. Raises Failure. In a comparison, `cell` is the index of the job's tile
// among `numCells` that are shown already.
export async function follow(api, { id, settings, startedAt }, announce, { cell = null, numCells = 1 } = {}) {
  const count = settings.num_images;
  const images = new Map();
  const clock = new Clock(count);
  let downloads = [];
  const first = cell ?? 0;
  const where = cell === null ? "" : `Picture ${cell + 1} of ${numCells} · `;
  if (cell === null) showFrames(count, sizeOf(settings));
  showProgress(cell === null ? 0 : cell / numCells, settings.enable_prompt_expansion ? "Waiting in the queue, then for the expanded prompt" : "Waiting in the queue");

  async function download(index, fields) {
    if (images.has(index)) return;
    images.set(index, null);
    const image = { ...fields, blob: await api.imageBytes(fields) };
    for (const name of ["b64_json", "url", "type", "image_index"]) delete image[name];
    images.set(index, image);
    showImage(first + index, image, fileName(settings, image));
    if (count > 1) announce(`Picture ${index + 1} of ${count} is finished.`);
  }

  for await (const event of api.follow(id)) {
    if (event.type === "image_generation.progress") {
      clock.step(event);
      showStep({ ...event, image_index: first + event.image_index });
      showProgress((first + clock.fraction) / numCells, where + clock.words());
      if (cell === null && clock.justPassedHalf()) announce("Half done.");
    } else if (event.type === "image_generation.image") {
      downloads.push(download(event.image_index, event));
    } else {
      if (event.status !== "completed") {
        showStopped();
        throw failureOf(event.error, { requestId: id });
      }
      downloads.push(...event.data.map((fields, index) => download(index, fields)));
      await Promise.all(downloads);
      return {
        id,
        at: Date.now(),
        settings,
        images: [...images].sort(([a], [b]) => a - b).map(([, image]) => image),
        milliseconds: Date.now() - startedAt,
        engine: event.meta.engine,
        creditsUsed: event.meta.usage.credits_used,
        warnings: event.meta.warnings,
        safety: event.meta.safety,
      };
    }
  }
  throw new Failure({ code: "unreachable", message: "The connection was lost." });
}

// The steps done over all images, and the time left at their pace.
class Clock {
  constructor(count) {
    this.count = count;
    this.steps = new Map();
    this.half = false;
  }

  step({ image_index: index, step, num_steps: numSteps }) {
    this.numSteps = numSteps;
    this.steps.set(index, step);
    this.first ??= { at: performance.now(), done: this.done };
  }

  get done() {
    return [...this.steps.values()].reduce((sum, step) => sum + step, 0);
  }

  get fraction() {
    return this.done / (this.count * this.numSteps);
  }

  justPassedHalf() {
    if (this.half || this.fraction < 0.5) return false;
    this.half = true;
    return true;
  }

  words() {
    const total = this.count * this.numSteps;
    const since = this.done - this.first.done;
    const left = since > 2 ? ((performance.now() - this.first.at) / since) * (total - this.done) : null;
    if (this.done === total) return "Finishing";
    const where = this.count === 1 ? `Step ${this.done} of ${total}` : `Step ${this.done} of ${total}, ${this.count} pictures`;
    return left === null || left < 500 ? where : `${where} · about ${inSeconds(left)} left`;
  }
}
