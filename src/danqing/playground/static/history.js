// Finished drawings, kept in this browser: the newest few, within a number and a size. Knows nothing of the page.

const MAX_ENTRIES = 60;
const MAX_BYTES = 150 * 2 ** 20;
const THUMBNAIL_PX = 200;

export async function openHistory() {
  const database = await new Promise((done, fail) => {
    const opening = indexedDB.open("danqing", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("drawings", { keyPath: "id" }).createIndex("at", "at");
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => fail(opening.error);
  });
  const run = (mode, work) =>
    new Promise((done, fail) => {
      const transaction = database.transaction("drawings", mode);
      const request = work(transaction.objectStore("drawings"));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = transaction.onabort = () => fail(transaction.error);
    });
  const list = async () => (await run("readonly", (store) => store.index("at").getAll())).reverse();
  const remove = (id) => run("readwrite", (store) => store.delete(id));
  return {
    list,
    remove,
    clear: () => run("readwrite", (store) => store.clear()),
    // The oldest make room.
    async add(drawing) {
      const thumbnail = await thumbnailOf(drawing.images[0].blob);
      await run("readwrite", (store) => store.put({ ...drawing, thumbnail }));
      let numBytes = 0;
      for (const [index, { id, images }] of (await list()).entries()) {
        numBytes += images.reduce((sum, { blob }) => sum + blob.size, 0);
        if (index > 0 && (index >= MAX_ENTRIES || numBytes > MAX_BYTES)) await remove(id);
      }
    },
  };
}

async function thumbnailOf(blob) {
  const picture = await createImageBitmap(blob);
  const height = THUMBNAIL_PX;
  const canvas = Object.assign(document.createElement("canvas"), { height, width: Math.round((height * picture.width) / picture.height) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return new Promise((done) => canvas.toBlob(done, "image/webp", 0.85));
}
