// The facts beside a finished result.

import { comparisonWords, isCompared } from "./compare.js";
import { inCredits, inSeconds } from "./wording.js";

const element = (id) => document.getElementById(id);

export function showResult(result) {
  const { settings, images, comparison } = result;
  const [{ width, height }] = images;
  const seeds = comparison ? [images[0].seed] : images.map(({ seed }) => seed);
  const facts = [
    ...(comparison ? [["Compared", comparisonWords(comparison)]] : []),
    [seeds.length > 1 ? "Seeds" : "Seed", seeds.length > 1 ? `${seeds[0]} to ${seeds.at(-1)}` : seeds[0], "seed"],
    ["Size", `${width} × ${height}`],
    ["Steps", settings.num_inference_steps, "num_inference_steps"],
    ["Guidance", settings.guidance_scale, "guidance_scale"],
    ["Time", inSeconds(result.milliseconds)],
    ["Cost", inCredits(result.creditsUsed)],
    ["Drawn by", result.engine],
  ];
  element("said").textContent = settings.prompt;
  element("facts").replaceChildren(
    ...facts.filter(([, , field]) => !comparison || !isCompared(comparison, field)).map(([name, value]) => {
      const pair = document.createElement("div");
      pair.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
      return pair;
    }),
  );
  const revised = images[0].revised_prompt;
  element("revised").hidden = !revised;
  element("revised").textContent = revised ? `Expanded to: ${revised}` : "";
  element("warnings").hidden = result.warnings.length === 0;
  element("warnings").replaceChildren(...result.warnings.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  element("download").textContent = comparison ? "Save as one picture" : "Download";
  element("result").hidden = false;
}
