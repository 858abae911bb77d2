// Comparisons: one picture for each of up to four values of a field, or for each pair of two fields' values.

import { FIELDS } from "./fields.js";

const MAX_VALUES = 4;
const AXES = ["columns", "rows"];
const COMPARABLE = { seed: "Seed", guidance_scale: "Guidance", num_inference_steps: "Steps" };
const SPREAD = { seed: [0, 1, 2, 3], guidance_scale: [0.4, 0.7, 1, 1.6], num_inference_steps: [0.25, 0.5, 1, 1.5] };
const NUM_FIRST = 2;

const element = (id) => document.getElementById(id);

export function connectCompare({ onChange, readSettings }) {
  for (const axis of AXES) {
    const field = element(`compare-${axis}`);
    const options = [["", axis === "columns" ? "nothing" : "nothing more"], ...Object.entries(COMPARABLE)];
    field.append(...options.map(([value, label]) => Object.assign(document.createElement("option"), { value, textContent: label })));
    field.addEventListener("change", () => {
      element(`compare-${axis}-values`).value = field.value ? suggestion(field.value, readSettings()).join(", ") : "";
      changed();
    });
    element(`compare-${axis}-values`).addEventListener("input", changed);
  }

  function changed() {
    for (const axis of AXES) element(`compare-${axis}-values`).disabled = !element(`compare-${axis}`).value;
    element("compare-problem").textContent = problem();
    onChange();
  }
  function axisOf(axis) {
    const field = element(`compare-${axis}`).value;
    return field ? { field, values: element(`compare-${axis}-values`).value.split(/[,;\s]+/).filter(Boolean).map(Number) } : null;
  }
  function problem() {
    const chosen = AXES.map(axisOf).filter(Boolean);
    if (chosen.length === 2 && chosen[0].field === chosen[1].field) return "Choose two different fields.";
    return chosen.map(problemOf).find(Boolean) ?? "";
  }
  changed();
  return {
    problem,
    // Null where nothing is compared.
    read() {
      const [columns, rows] = AXES.map(axisOf);
      if (!columns && !rows) return null;
      return columns ? { columns, rows } : { columns: rows, rows: null };
    },
    write(comparison) {
      for (const axis of AXES) {
        element(`compare-${axis}`).value = comparison?.[axis]?.field ?? "";
        element(`compare-${axis}-values`).value = comparison?.[axis]?.values.join(", ") ?? "";
      }
      element("compare").open ||= Boolean(comparison);
      changed();
    },
  };
}

function problemOf({ field, values }) {
  const { min, max = Number.MAX_SAFE_INTEGER } = FIELDS[field];
  const whole = field !== "guidance_scale";
  if (values.length < 1 || values.length > MAX_VALUES) return `${COMPARABLE[field]}: one to ${MAX_VALUES} values, with commas between.`;
  if (values.every((value) => value >= min && value <= max && (!whole || Number.isInteger(value)))) return "";
  return `${COMPARABLE[field]}: ${whole ? "whole numbers" : "numbers"} from ${min}${FIELDS[field].max ? ` to ${max}` : " up"}.`;
}

// Values around the present one, within the field's range.
function suggestion(field, settings) {
  const { min, max = Number.MAX_SAFE_INTEGER } = FIELDS[field];
  const of = (spread) => (field === "seed" ? (settings.seed || 1) + spread : field === "guidance_scale" ? Math.round(settings[field] * spread * 2) / 2 : Math.round(settings[field] * spread));
  const values = SPREAD[field].map((spread) => Math.min(max, Math.max(min, of(spread))));
  const chosen = field === "seed" ? values.slice(0, NUM_FIRST) : values.slice(1, 1 + NUM_FIRST);
  return [...new Set(chosen)];
}

export function countOf(comparison) {
  return comparison ? comparison.columns.values.length * (comparison.rows?.values.length ?? 1) : 1;
}

// The settings of each cell, row by row, with the words that tell it from the others.
export function cellsOf(comparison, settings) {
  const { columns, rows } = comparison;
  return (rows?.values ?? [null]).flatMap((row) =>
    columns.values.map((column) => {
      const differs = { [columns.field]: column, ...(rows && { [rows.field]: row }) };
      return { settings: { ...settings, num_images: 1, ...differs }, label: wordsOf(differs) };
    }),
  );
}

const wordsOf = (differs) => Object.entries(differs).map(([field, value]) => axisWords(field, value)).join(" · ");

export const axisWords = (field, value) => `${COMPARABLE[field]} ${value}`;

export function comparisonWords({ columns, rows }) {
  return [columns, rows].filter(Boolean).map(({ field, values }) => `${COMPARABLE[field]} ${values.join(", ")}`).join(" × ");
}

export const isCompared = (comparison, field) => [comparison?.columns, comparison?.rows].some((axis) => axis?.field === field);

// A comparison in the history is one result with the pictures of all its cells.
export function joined(results, { settings, comparison, startedAt }) {
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
