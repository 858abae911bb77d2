// What is left, and what the form as it stands would cost.

import { countOf } from "./compare.js";
import { sizeOf } from "./fields.js";
import { apiKey } from "./key.js";
import { inCredits, inDollars, priceCredits } from "./wording.js";

const element = (id) => document.getElementById(id);

// Both null until the server has said.
let megapixelCredits = null;
export let balanceCredits = null;

export async function updateBalance(api) {
  balanceCredits = apiKey.read() ? await api.balance().catch(() => null) : null;
  const left = balanceCredits === null ? [] : [strong(inDollars(balanceCredits)), Object.assign(document.createElement("span"), { className: "long", textContent: ` · ${inCredits(balanceCredits)}` }), " left"];
  element("credits").replaceChildren(...left);
}

export async function loadPrice(api) {
  megapixelCredits = (await api.price()).megapixel_credits;
}

// Null before the price is loaded, NaN for a size that is not finished yet.
export function priceOf(settings, comparison) {
  if (megapixelCredits === null) return null;
  return priceCredits(sizeOf(settings), comparison ? countOf(comparison) : settings.num_images, megapixelCredits);
}

export function showPrice(settings, comparison) {
  const price = priceOf(settings, comparison);
  if (price === null) return;
  const known = Number.isFinite(price);
  element("price").replaceChildren(strong(known ? inCredits(price) : ""), known ? `${inDollars(price)}${sizeOf(settings) ? "" : " at most"}` : "");
}

const strong = (textContent) => Object.assign(document.createElement("b"), { textContent });
