// The request's fields: ranges, defaults, sizes, and the request body that settings make.

import { isObject } from "./stored.js";

export const MODEL_ID = "hunyuan/hunyuan-image-v3-text-to-image";

// A test compares them with /openapi.json. `setDefaults` puts the defaults of the checkpoint that draws in.
export const FIELDS = {
  prompt: { maxLength: 4000 },
  negative_prompt: { maxLength: 4000, default: "" },
  num_images: { min: 1, max: 4, default: 1 },
  seed: { min: 1 },
  image_size: { options: ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"], default: "square_hd" },
  num_inference_steps: { min: 1, max: 50, default: 28 },
  guidance_scale: { min: 1, max: 20, default: 7.5 },
  enable_safety_checker: { default: true },
  enable_prompt_expansion: { default: false },
  sync_mode: { default: false },
  output_format: { options: ["png", "jpeg"], default: "png" },
  output_compression: { min: 0, max: 100 },
  webhook_url: { maxLength: 2048 },
};

export const MIN_SIDE_PX = 64;
export const MAX_SIDE_PX = 2048;
export const MAX_SAMPLED_SEED = 2 ** 32 - 1;

// `square` is left out: it is the same size as `square_hd`.
export const SIZES = [
  { name: "square_hd", label: "1:1", title: "Square", width: 1024, height: 1024 },
  { name: "portrait_4_3", label: "3:4", title: "Portrait 4:3", width: 896, height: 1152 },
  { name: "portrait_16_9", label: "9:16", title: "Portrait 16:9", width: 768, height: 1280 },
  { name: "landscape_4_3", label: "4:3", title: "Landscape 4:3", width: 1152, height: 896 },
  { name: "landscape_16_9", label: "16:9", title: "Landscape 16:9", width: 1280, height: 768 },
];
export const AUTO = "auto";

export const DEFAULTS = {
  prompt: "",
  image_size: "landscape_16_9",
  ...Object.fromEntries(
    Object.entries(FIELDS).filter(([name, field]) => "default" in field && name !== "image_size").map(([name, field]) => [name, field.default]),
  ),
  output_compression: 90,
  webhook_url: "",
};

// Settings that were kept, with defaults in place of what is missing or no value of its field.
export function withDefaults(kept) {
  const settings = isObject(kept) ? kept : {};
  const sound = ([name, standard]) => [name, isSound(name, settings[name], standard) ? settings[name] : standard];
  return { ...settings, ...Object.fromEntries(Object.entries(DEFAULTS).map(sound)) };
}

function isSound(name, value, standard) {
  if (name === "image_size" && isObject(value)) return Number.isFinite(value.width) && Number.isFinite(value.height);
  if (typeof value !== typeof standard) return false;
  const { options, min = -Infinity, max = Infinity } = FIELDS[name] ?? {};
  if (options) return options.includes(value) || (name === "image_size" && value === AUTO);
  return typeof value !== "number" || (value >= min && value <= max);
}

// Take over the server's defaults of the form's fields, before it is filled.
export function setDefaults(defaults) {
  for (const [name, value] of Object.entries(defaults)) if (name in FIELDS) FIELDS[name].default = DEFAULTS[name] = value;
}

export function sampleSeed() {
  return 1 + (crypto.getRandomValues(new Uint32Array(1))[0] % MAX_SAMPLED_SEED);
}

// Width and height in pixels; null where the model chooses.
export function sizeOf(settings) {
  const size = settings.image_size;
  if (size === AUTO) return null;
  return typeof size === "string" ? (SIZES.find(({ name }) => name === size) ?? SIZES[0]) : size;
}

// The request body: fields that always matter, and those that differ from the server's defaults.
export function requestBody(settings) {
  const body = { model: MODEL_ID, prompt: settings.prompt };
  if (settings.image_size === AUTO) body.size = AUTO;
  else body.image_size = settings.image_size;
  if (settings.seed) body.seed = settings.seed;
  for (const name of ["negative_prompt", "num_images", "num_inference_steps", "guidance_scale", "output_format", "enable_safety_checker", "enable_prompt_expansion", "sync_mode"]) {
    if (settings[name] !== FIELDS[name].default) body[name] = settings[name];
  }
  if (settings.output_format === "jpeg") body.output_compression = settings.output_compression;
  if (settings.webhook_url) body.webhook_url = settings.webhook_url;
  return body;
}

// Problems that the page can see by itself, in the form of the server's list of bad fields.
export function problemsOf(settings) {
  const problems = [];
  const complain = (name, message) => problems.push({ path: [name], message });
  if (!settings.prompt.trim()) complain("prompt", "Say what the picture should show.");
  if (!Number.isSafeInteger(settings.seed) || settings.seed < 1) complain("seed", "A whole number from 1 up.");
  const size = sizeOf(settings);
  const fits = (side) => Number.isInteger(side) && side >= MIN_SIDE_PX && side <= MAX_SIDE_PX;
  if (size && !(fits(size.width) && fits(size.height))) {
    complain("image_size", `Width and height are whole numbers from ${MIN_SIDE_PX} to ${MAX_SIDE_PX}.`);
  }
  return problems;
}
