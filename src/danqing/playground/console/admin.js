// The client of the endpoints for management keys.

import { Failure, createCall } from "../playground/api.js";

const PAGE_ROWS = 100;
const ALL_KEYS = "*";

export function createAdmin(readKey) {
  const call = createCall(readKey);
  const read = async (path, query = {}) => (await call(`${path}?${queryOf(query)}`)).json();
  const send = async (method, path, body) => (await (await call(path, { method, body })).json()).data;

  return {
    ownKey: async () => (await read("v1/key")).data,
    balance: () => read("v1/billing/balance"),
    status: () => read("v2/status"),
    models: async () => (await read("v1/models")).data.map(({ id }) => id),

    // Groups of the finished requests of all keys, by `groupBy` such as "day,key", and the time zone of the days.
    async usage({ start, end, groupBy }) {
      const query = { key_prefix: ALL_KEYS, start, end, group_by: groupBy };
      const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      try {
        return { zone: ownZone, groups: (await read("v2/usage/detail", { ...query, tz: ownZone })).groups };
      } catch (failure) {
        // Browsers know some zones by former names.
        if (!(failure instanceof Failure) || failure.code !== "invalid_payload") throw failure;
        return { zone: "UTC", groups: (await read("v2/usage/detail", query)).groups };
      }
    },

    keys: async () => (await read("v1/keys")).data,
    createKey: (body) => send("POST", "v1/keys", body),
    changeKey: (prefix, body) => send("PATCH", `v1/keys/${prefix}`, body),
    deleteKey: (prefix) => send("DELETE", `v1/keys/${prefix}`),

    logs: (query) => read("v2/logs", { key_prefix: ALL_KEYS, ...query }),
    request: async (id) => (await read(`v2/logs/${encodeURIComponent(id)}`)).data,

    transactions: (query) => read("v2/billing/transactions", query),
    // Every transaction of a filter, page by page.
    async *allTransactions(query) {
      let cursor = null;
      do {
        const page = await this.transactions({ ...query, limit: PAGE_ROWS, cursor });
        yield* page.data;
        cursor = page.pagination.next_cursor;
      } while (cursor);
    },
  };
}

function queryOf(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(given).toString();
}
