// A comparison as one picture: its cells, the values beside them, and the settings below.

import { axisWords, isCompared } from "./compare.js";

const MAX_CELL_PX = 640;
const GAP_PX = 14;
const MARGIN_PX = 36;
const LABEL_PX = 40;
const ROW_LABEL_PX = 150;
const LINE_PX = 28;
const FONT = "20px system-ui, sans-serif";
const PAPER = "#fdfbf7";
const INK = "#24211d";

export async function gridImage({ comparison, images, settings, engine }) {
  const bitmaps = await Promise.all(images.map(({ blob }) => createImageBitmap(blob)));
  const { columns, rows } = comparison;
  const scale = Math.min(1, MAX_CELL_PX / Math.max(bitmaps[0].width, bitmaps[0].height));
  const cell = { width: Math.round(bitmaps[0].width * scale), height: Math.round(bitmaps[0].height * scale) };
  const numRows = rows?.values.length ?? 1;
  const left = MARGIN_PX + (rows ? ROW_LABEL_PX : 0);
  const top = MARGIN_PX + LABEL_PX;
  const width = left + columns.values.length * (cell.width + GAP_PX) - GAP_PX + MARGIN_PX;
  const gridBottom = top + numRows * (cell.height + GAP_PX) - GAP_PX;

  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  context.font = FONT;
  const lines = settingsLines({ comparison, settings, engine, image: images[0] }).flatMap((text) => wrapped(context, text, width - 2 * MARGIN_PX));
  canvas.width = width;
  canvas.height = gridBottom + MARGIN_PX + lines.length * LINE_PX + MARGIN_PX / 2;
  context.fillStyle = PAPER;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = INK;
  context.font = FONT;
  columns.values.forEach((value, index) => context.fillText(axisWords(columns.field, value), left + index * (cell.width + GAP_PX), top - 14, cell.width));
  rows?.values.forEach((value, index) => context.fillText(axisWords(rows.field, value), MARGIN_PX, top + index * (cell.height + GAP_PX) + cell.height / 2, ROW_LABEL_PX - GAP_PX));
  bitmaps.forEach((bitmap, index) => {
    const [column, row] = [index % columns.values.length, Math.floor(index / columns.values.length)];
    context.drawImage(bitmap, left + column * (cell.width + GAP_PX), top + row * (cell.height + GAP_PX), cell.width, cell.height);
    bitmap.close();
  });
  lines.forEach((text, index) => context.fillText(text, MARGIN_PX, gridBottom + MARGIN_PX + index * LINE_PX));
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function settingsLines({ comparison, settings, engine, image }) {
  const same = [["seed", "Seed"], ["num_inference_steps", "Steps"], ["guidance_scale", "Guidance"]].filter(([field]) => !isCompared(comparison, field));
  const facts = [...same.map(([field, label]) => `${label} ${settings[field]}`), `${image.width} × ${image.height}`, engine];
  return [settings.prompt, ...(settings.negative_prompt ? [`Without: ${settings.negative_prompt}`] : []), facts.join(" · ")];
}

function wrapped(context, text, width) {
  const lines = [""];
  // Languages without spaces break between any two characters.
  for (const word of text.match(/[\x21-\x7e]+\s*|[^\x21-\x7e]/gu) ?? []) {
    if (lines.at(-1) && context.measureText(lines.at(-1) + word).width > width) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines;
}
