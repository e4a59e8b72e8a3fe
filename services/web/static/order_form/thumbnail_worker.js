// Draws thumbnails apart from the page, which answers meanwhile.

import { drawThumbnail } from "./draw_thumbnail.js";

addEventListener("message", async ({ data: { id, file } }) => postMessage({ id, blob: await drawThumbnail(file) }));
