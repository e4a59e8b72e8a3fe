// What this browser remembers of its unfinished uploads, so that they go on after a reload: which files they have, and
// handles of them if the browser can keep these.

const DATABASE = "imageblur";
const STORE = "uploads";
const RELEASE_MS = 3000;

// Remembers an upload: { upload, files: [{ name, size, lastModified }], bytes, sources }. A browser that keeps nothing, such
// as in a private window, is no error.
export async function remember(record) {
  const value = { ...record, began: Date.now() };
  if (await withStore("readwrite", (store) => store.put(value))) return;
  await withStore("readwrite", (store) => store.put({ ...value, sources: [] })); // handles that cannot be kept
}

export async function forget(upload) {
  await withStore("readwrite", (store) => store.delete(upload));
}

// All of them, the oldest first.
export async function remembered() {
  const request = await withStore("readonly", (store) => store.getAll());
  return (request?.result ?? []).sort((a, b) => a.began - b.began);
}

// Finds the files of an upload among others, by name, size and time: { files, missing }, in the order of the upload.
export function matchFiles(record, candidates) {
  const byKey = new Map();
  for (const file of candidates) {
    const key = keyOf(file);
    if (!byKey.has(key)) byKey.set(key, []);
    byKey.get(key).push(file);
  }
  const used = new Map(); // the same picture may be in an order twice, and be given once
  const files = record.files.map((wanted) => {
    const same = byKey.get(keyOf(wanted));
    if (!same) return null;
    const index = used.get(same) ?? 0;
    used.set(same, index + 1);
    return same[Math.min(index, same.length - 1)];
  });
  return { files, missing: record.files.filter((_, index) => !files[index]) };
}

const keyOf = ({ name, size, lastModified }) => JSON.stringify([name, size, lastModified]);

// The files of kept handles, or null if the visitor does not allow to read them again. Only after a click.
export async function filesOfSources(sources, readHandles) {
  try {
    for (const handle of sources) {
      const allowed = (await handle.queryPermission?.({ mode: "read" })) ?? "granted";
      if (allowed !== "granted" && (await handle.requestPermission({ mode: "read" })) !== "granted") return null;
    }
    return (await readHandles(sources)).files;
  } catch {
    return null; // moved or deleted
  }
}

// Holds a lock while this window sends an upload, so that another one does not offer to go on with it.
export async function whileSending(upload, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`imageblur ${upload}`, { ifAvailable: true }, work);
}

// A page that was left a moment ago may still hold the lock: its end is waited for.
export async function isBeingSent(upload) {
  if (!navigator.locks) return false;
  const signal = AbortSignal.timeout(RELEASE_MS);
  try {
    return await navigator.locks.request(`imageblur ${upload}`, { signal }, () => false);
  } catch {
    return true;
  }
}

// Returns the finished request, or null.
async function withStore(mode, use) {
  try {
    const database = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(STORE, mode);
        const request = use(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } finally {
      database.close();
    }
  } catch {
    return null;
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "upload" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
