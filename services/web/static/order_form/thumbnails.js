// Thumbnails of the selected files, made one at a time to limit memory.

const WIDTH = 320;
const waiting = [];
let working = false;

export function thumbnail(file) {
  return new Promise((resolve) => {
    waiting.push([file, resolve]);
    if (!working) work();
  });
}

async function work() {
  working = true;
  while (waiting.length) {
    const [file, resolve] = waiting.shift();
    resolve(await make(file));
  }
  working = false;
}

async function make(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, WIDTH / bitmap.width);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", 0.8));
    return blob && URL.createObjectURL(blob);
  } catch {
    return null; // a format that the browser does not support, such as TIFF
  }
}
