// The history of results, kept in this browser: the newest, up to a number and a size.

const MAX_ENTRIES = 60;
const MAX_BYTES = 150 * 2 ** 20;
const THUMBNAIL_PX = 200;

export async function openHistory() {
  const database = await new Promise((done, fail) => {
    const opening = indexedDB.open("danqing-history", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("results", { keyPath: "id" }).createIndex("at", "at");
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => fail(opening.error);
  });
  const run = (mode, work) =>
    new Promise((done, fail) => {
      const transaction = database.transaction("results", mode);
      const request = work(transaction.objectStore("results"));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = transaction.onabort = () => fail(transaction.error);
    });
  const list = async () => (await run("readonly", (store) => store.index("at").getAll())).reverse();
  const remove = (id) => run("readwrite", (store) => store.delete(id));
  return {
    list,
    remove,
    clear: () => run("readwrite", (store) => store.clear()),
    // The oldest results make room.
    async add(result) {
      const thumbnail = await thumbnailOf(result.images[0].blob);
      await run("readwrite", (store) => store.put({ ...result, thumbnail }));
      let numBytes = 0;
      for (const [index, { id, images }] of (await list()).entries()) {
        numBytes += images.reduce((sum, { blob }) => sum + blob.size, 0);
        if (index > 0 && (index >= MAX_ENTRIES || numBytes > MAX_BYTES)) await remove(id);
      }
    },
  };
}

async function thumbnailOf(blob) {
  const bitmap = await createImageBitmap(blob);
  const height = THUMBNAIL_PX;
  const canvas = Object.assign(document.createElement("canvas"), { height, width: Math.round((height * bitmap.width) / bitmap.height) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => canvas.toBlob(done, "image/webp", 0.85));
}
