// The form: reads and writes settings, marks bad fields.

import { AUTO, DEFAULTS, FIELDS, MODEL_ID, SIZES, sampleSeed, withDefaults } from "./fields.js";
import { readStored } from "./stored.js";

const NAME = "danqing.settings";
const SHAPE_PX = 30;
const SLIDERS = { num_inference_steps: 1, guidance_scale: 0.5, output_compression: 1 };
const SWITCHES = ["enable_safety_checker", "enable_prompt_expansion", "sync_mode"];
const TEXTS = ["prompt", "negative_prompt", "webhook_url"];
const CUSTOM = "custom";

const element = (id) => document.getElementById(id);

// What the form shows when the playground is opened next. Defaults are not kept: they follow the checkpoint.
export function keepSettings(settings, { locked }) {
  const kept = Object.fromEntries(Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name]));
  localStorage.setItem(NAME, JSON.stringify({ settings: kept, locked }));
}

export function connectForm({ onChange, withoutEffect, isCompared }) {
  buildSizes();
  buildSegments("num_images", [1, 2, 3, 4].map((count) => [count, count]));
  buildSegments("output_format", [["png", "PNG"], ["jpeg", "JPEG"]]);
  for (const [name, step] of Object.entries(SLIDERS)) {
    const { min, max } = FIELDS[name];
    Object.assign(element(name), { min, max, step });
  }
  for (const said of document.querySelectorAll("[data-default]")) said.textContent = DEFAULTS[said.dataset.default];
  element("model-id").textContent = MODEL_ID;
  const form = element("form");
  const lock = element("lock");
  const locked = () => lock.getAttribute("aria-pressed") === "true";

  function setLocked(value) {
    lock.setAttribute("aria-pressed", String(value));
    element("seed-hint").textContent = value ? "Kept: the same settings give the same picture." : "A new seed for every request, from 1 up; lock it to repeat a picture.";
  }
  function rollSeed() {
    element("seed").value = sampleSeed();
  }
  function read() {
    const settings = { seed: Number(element("seed").value || NaN) };
    for (const name of TEXTS) settings[name] = element(name).value.trim();
    for (const name of Object.keys(SLIDERS)) settings[name] = element(name).valueAsNumber;
    for (const name of SWITCHES) settings[name] = element(name).checked && !element(name).disabled;
    settings.num_images = Number(checked("num_images"));
    settings.output_format = checked("output_format");
    const size = checked("image_size");
    settings.image_size = size === CUSTOM ? { width: element("width").valueAsNumber, height: element("height").valueAsNumber } : size;
    return settings;
  }
  function write(settings) {
    const full = withDefaults(settings);
    for (const name of [...TEXTS, ...Object.keys(SLIDERS)]) element(name).value = full[name];
    for (const name of SWITCHES) element(name).checked = full[name];
    check("num_images", full.num_images);
    check("output_format", full.output_format);
    const custom = typeof full.image_size === "object";
    check("image_size", custom ? CUSTOM : full.image_size === "square" ? "square_hd" : full.image_size);
    if (custom) for (const side of ["width", "height"]) element(side).value = full.image_size[side];
    if (Number.isFinite(full.seed)) element("seed").value = full.seed;
    changed();
  }
  function changed() {
    const settings = read();
    for (const name of Object.keys(SLIDERS)) element(`${name}-value`).textContent = settings[name];
    element("prompt-count").textContent = settings.prompt.length > FIELDS.prompt.maxLength / 2 ? `${settings.prompt.length} of ${FIELDS.prompt.maxLength}` : `at most ${FIELDS.prompt.maxLength} characters`;
    element("custom-size").hidden = checked("image_size") !== CUSTOM;
    element("output_compression").disabled = settings.output_format === "png";
    showWithoutEffect(settings);
    element("size-words").textContent = sizeWords(settings);
    keepSettings(settings, { locked: locked() });
    onChange(settings);
  }
  function mark(issues) {
    for (const field of form.querySelectorAll("[data-field]")) {
      const messages = issues.filter(({ path }) => path[0] === field.dataset.field).map(({ message }) => message.replace(`${field.dataset.field}: `, ""));
      const problem = field.querySelector(".problem");
      if (problem) problem.textContent = messages.join(" ");
      for (const input of field.querySelectorAll("input, textarea")) {
        if (messages.length) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    }
    const first = form.querySelector("[aria-invalid]");
    if (first?.closest("details")) first.closest("details").open = true;
    first?.focus();
    first?.closest("[data-field]").scrollIntoView({ block: "center" });
  }

  // Fields that can have no effect are switched off and say why; `reasons` holds them by name.
  function showWithoutEffect(settings) {
    const reasons = { ...withoutEffect };
    if (settings.guidance_scale === 1 && !isCompared("guidance_scale")) reasons.negative_prompt ??= "it has no effect with guidance 1";
    for (const name of ["negative_prompt", "enable_prompt_expansion"]) {
      element(name).disabled = name in reasons;
      element(`${name}-reason`).textContent = name in reasons ? `Off: ${reasons[name]}.` : "";
    }
  }

  const kept = readStored(NAME);
  setLocked(kept.locked === true);
  rollSeed();
  write(kept.settings);
  form.addEventListener("input", changed);
  element("dice").addEventListener("click", () => {
    rollSeed();
    element("dice").classList.remove("rolling");
    requestAnimationFrame(() => element("dice").classList.add("rolling"));
    changed();
  });
  lock.addEventListener("click", () => {
    setLocked(!locked());
    changed();
  });
  element("reset").addEventListener("click", () => write({ prompt: read().prompt, seed: read().seed }));
  return {
    read,
    write,
    mark,
    setLocked,
    report: changed,
    // Each request gets a new seed, unless the user keeps one.
    readForRequest() {
      if (!locked()) {
        rollSeed();
        changed();
      }
      return read();
    },
  };
}

function sizeWords(settings) {
  const preset = SIZES.find(({ name }) => name === settings.image_size);
  if (preset) return `${preset.title}, ${preset.width} × ${preset.height}`;
  return settings.image_size === AUTO ? "The model chooses what suits the prompt" : "Delivered exactly";
}

function buildSizes() {
  const tile = ({ value, title, label, width, height, dashed }) => {
    const longest = Math.max(width, height);
    const shape = Object.assign(document.createElement("span"), { className: dashed ? "shape dashed" : "shape" });
    shape.style.width = `${Math.round((SHAPE_PX * width) / longest)}px`;
    shape.style.height = `${Math.round((SHAPE_PX * height) / longest)}px`;
    return option("image_size", value, [shape, label], title);
  };
  const presets = SIZES.map((size) => tile({ ...size, value: size.name, title: `${size.title}, ${size.width} by ${size.height}` }));
  const auto = tile({ value: AUTO, title: "The model chooses", label: "Auto", width: 4, height: 4, dashed: true });
  const custom = tile({ value: CUSTOM, title: "Your own width and height", label: "Custom", width: 4, height: 3, dashed: true });
  element("sizes").append(...presets, auto, custom);
  const words = Object.assign(document.createElement("p"), { className: "hint size-words", id: "size-words" });
  element("sizes").after(words);
}

function buildSegments(name, options) {
  element(name).append(...options.map(([value, label]) => option(name, value, [label])));
}

function option(name, value, content, title) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
  if (title) {
    label.title = title;
    input.setAttribute("aria-label", title);
  }
  label.append(input, ...content);
  return label;
}

const checked = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value;

function check(name, value) {
  const input = document.querySelector(`input[name="${name}"][value="${value}"]`);
  if (input) input.checked = true;
}

