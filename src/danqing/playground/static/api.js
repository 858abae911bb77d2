// The client of the server's public API. Errors become a Failure.

const NUM_PREVIEWS = 9;
const POLL_MILLISECONDS = 1500;
const MAX_RECONNECTS = 5;
const GENERATIONS = "v1/images/generations";

// `code` is the server's error code, "unreachable" when there was no response.
export class Failure extends Error {
  constructor({ code, message, status = 0, issues = [], retryAfterSeconds = null, requestId = "" }) {
    super(message);
    Object.assign(this, { code, status, issues, retryAfterSeconds, requestId });
  }
}

export function urlOf(path) {
  return new URL(path, document.baseURI).href;
}

export function failureOf(error, rest = {}) {
  const issues = Array.isArray(error.data) ? error.data : [];
  return new Failure({ code: error.code, message: error.message, issues, ...rest });
}

// Calls the server with the key; raises Failure for every response that is no success.
export function createCall(readKey) {
  return async function call(path, { method = "GET", headers = {}, body, withKey = true, signal, cache } = {}) {
    const sent = { ...headers };
    if (withKey && readKey()) sent.Authorization = `Bearer ${readKey()}`;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const init = { method, headers: sent, body: body && JSON.stringify(body), signal, cache, credentials: "omit" };
    let response;
    try {
      response = await fetch(urlOf(path), init);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Failure({ code: "unreachable", message: String(error) });
    }
    if (response.ok) return response;
    const { error: described } = await response.json().catch(() => ({}));
    const error = described ?? { code: "server_error", message: response.statusText };
    throw failureOf(error, {
      status: response.status,
      retryAfterSeconds: Number(response.headers.get("Retry-After")) || null,
      requestId: response.headers.get("x-inference-id") ?? "",
    });
  };
}

export function createApi(readKey) {
  const call = createCall(readKey);

  // The events of one connection; ends when it does.
  async function* events(jobId) {
    const response = await call(`${GENERATIONS}/${jobId}/events`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      while (true) {
        const { value, done } = await reader.read();
        if (done) return;
        const parts = (text + value).split("\n\n");
        text = parts.pop();
        for (const part of parts) {
          const data = part.split("\n").find((line) => line.startsWith("data: "));
          if (data) yield JSON.parse(data.slice(6));
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  return {
    // Not from the browser's cache: the server may have started with another checkpoint.
    modelInfo: async () => (await (await call("v1/models", { withKey: false, cache: "no-cache" })).json()).data[0].info,
    estimate: async (body) => (await call("v1/images/estimate", { method: "POST", body })).json(),
    engine: async () => (await (await call("readyz", { withKey: false })).json()).engine,
    price: async () => (await call("playground/price.json", { withKey: false })).json(),
    balance: async () => (await (await call("v1/billing/balance")).json()).balance,
    job: async (jobId) => (await call(`${GENERATIONS}/${jobId}`)).json(),
    cancel: async (jobId) => (await call(`${GENERATIONS}/${jobId}`, { method: "DELETE" })).json(),

    async submit(body) {
      const headers = { Prefer: `respond-async, previews=${NUM_PREVIEWS}`, "X-Danqing-Origin": "playground" };
      return (await (await call(GENERATIONS, { method: "POST", headers, body })).json()).id;
    },

    // Every event up to the last, reconnecting as needed. A lost job is a Failure.
    async *follow(jobId) {
      for (let attempt = 0; attempt < MAX_RECONNECTS; attempt += 1) {
        try {
          for await (const event of events(jobId)) {
            if (event.type === "error") throw failureOf(event.error);
            yield event;
            if (event.type === "image_generation.finished") return;
            attempt = 0;
          }
        } catch (error) {
          // A broken connection is no Failure: the job goes on, and the next attempt reconnects.
          if (error instanceof Failure && error.code !== "unreachable") throw error;
        }
        await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
      }
      throw new Failure({ code: "unreachable", message: "The connection was lost." });
    },

    // The bytes of an image. Its link may name the address that other clients use, so only its path counts here.
    async imageBytes(image) {
      if (image.b64_json) {
        const bytes = Uint8Array.from(atob(image.b64_json), (char) => char.charCodeAt(0));
        return new Blob([bytes], { type: image.content_type });
      }
      const path = image.url.slice(image.url.lastIndexOf("files/b/"));
      return (await call(path, { withKey: false })).blob();
    },
  };
}
