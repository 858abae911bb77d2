// Wording of errors and amounts, by the error codes of docs/api.md.

export const CREDITS_PER_USD = 2_000_000;
const MEGAPIXEL_PX = 2 ** 20;

export function priceCredits(size, numImages, megapixelCredits) {
  // A size that the model chooses costs at most one megapixel.
  const areaPx = size ? size.width * size.height : MEGAPIXEL_PX;
  return Math.ceil(areaPx / MEGAPIXEL_PX) * megapixelCredits * numImages;
}

export function inCredits(amount) {
  return `${amount.toLocaleString("en-US")} credits`;
}

export function inDollars(amount) {
  const usd = amount / CREDITS_PER_USD;
  const digits = usd !== 0 && Math.abs(usd) < 1 ? 3 : 2;
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

export function inSeconds(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds >= 90) return `${Math.round(seconds / 60)} min`;
  return seconds < 9.95 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

const inAMoment = (failure) => (failure.retryAfterSeconds ? `Try again in ${failure.retryAfterSeconds} seconds.` : "Try again in a moment.");

// `does` names the button that helps: `key` or `again`.
const WORDS = {
  invalid_api_key: (failure, { hasKey }) => ({
    title: hasKey ? "This key was not accepted." : "The playground needs an API key.",
    text: hasKey ? "It may have been revoked, or a letter is missing. Paste another." : "The first start of the server prints one, and “danqing keys create --name playground” makes another.",
    does: "key",
  }),
  insufficient_credits: (failure, { priceCredits: price, balanceCredits: balance }) => ({
    title: "There are not enough credits.",
    text: `${price ? `This takes ${inCredits(price)}` : "This costs more"}${balance === null ? " than there are" : `, and ${inCredits(balance)} are left`}. The server's operator can add some with “danqing credits grant”.`,
  }),
  spend_limit_reached: () => ({ title: "This key has reached its spending limit.", text: "Use another key, or raise the limit of this one.", does: "key" }),
  missing_scope: () => ({ title: "This key may not draw.", text: "It lacks the scope model:image. Use another key.", does: "key" }),
  moderation_blocked: () => ({ title: "The safety check refused this prompt.", text: "Say it differently. Nothing was charged." }),
  invalid_payload: (failure) => ({ title: "Something in the settings does not fit.", text: failure.issues.length ? "See the marked fields. Nothing was charged." : `${failure.message}. Nothing was charged.` }),
  rate_limit_exceeded: (failure) => ({ title: "That was a little fast.", text: `${failure.message} ${inAMoment(failure)}`, does: "again" }),
  overloaded: (failure) => ({ title: "The server cannot take this on right now.", text: `${failure.message} ${inAMoment(failure)}`, does: "again" }),
  generation_timeout: () => ({ title: "This took too long and was stopped.", text: "Nothing was charged. Fewer steps or fewer pictures help.", does: "again" }),
  engine_crashed: () => ({ title: "The engine stopped in the middle of the picture.", text: "It is being restarted. Nothing was charged.", does: "again" }),
  engine_failed: (failure) => ({ title: "The engine cannot start.", text: `${failure.message} Nothing was charged. The server's operator has to mend it.` }),
  not_found: () => ({ title: "The server no longer knows this job.", text: "Draw it again with the same seed and it will be the same." }),
  gone: () => ({ title: "This picture's link has expired.", text: "Draw it again with the same seed and it will be the same." }),
  unreachable: () => ({ title: "The server cannot be reached.", text: "Is it still running? Your settings are kept here.", does: "again" }),
};

export function explain(failure, context) {
  const words = WORDS[failure.code];
  if (words) return { does: null, ...words(failure, context) };
  const reference = failure.requestId ? ` The log has it under ${failure.requestId}.` : "";
  return { title: "Something went wrong on the server.", text: `${failure.message} Nothing was charged.${reference}`, does: "again" };
}
