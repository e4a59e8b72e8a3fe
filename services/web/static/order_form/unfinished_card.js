// Offers to go on with uploads that an earlier visit has not finished.

import { formatSize, translate } from "../shared/texts.js";
import { acceptFolder, readHandles } from "./file_inputs.js";
import { deleteUpload, findUpload } from "./upload.js";
import { filesOfSources, forget, isBeingSent, matchFiles, remembered } from "./unfinished_uploads.js";

const element = (id) => document.getElementById(id);
const NAMED = 3;

// `goOn(record, files)` is called with the files of an upload when they were found.
export async function offerUnfinished(goOn) {
  const card = element("unfinished");
  let record = null;
  let chosen = [];

  element("unfinished-files").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    take(files);
  });
  acceptFolder({ button: element("unfinished-choose-folder"), input: element("unfinished-folder"), add: take });
  element("unfinished-go-on").addEventListener("click", async () => {
    const files = await filesOfSources(record.sources, readHandles);
    if (files) take(files);
    else element("unfinished-go-on").hidden = true;
  });
  element("unfinished-delete").addEventListener("click", async () => {
    try {
      await deleteUpload(record.upload);
    } catch (error) {
      showMissing(error.message || translate("connection_lost"));
      return;
    }
    await forget(record.upload);
    await next();
    element("files").focus();
  });
  await next();

  function take(files) {
    chosen.push(...files);
    const { files: found, missing } = matchFiles(record, chosen);
    if (missing.length) {
      const names = missing.slice(0, NAMED).map((file) => file.name).join(", ");
      const more = missing.length > NAMED ? "…" : "";
      showMissing(translate("unfinished_missing", { n: missing.length, names: names + more }));
      return;
    }
    card.hidden = true;
    goOn(record, found);
  }

  function showMissing(text) {
    element("unfinished-missing").textContent = text;
    element("unfinished-missing").hidden = !text;
  }

  // Shows the oldest one that still exists, or none.
  async function next() {
    card.hidden = true;
    chosen = [];
    showMissing("");
    for (record of await remembered()) {
      if (await isBeingSent(record.upload)) continue;
      let found;
      try {
        found = await findUpload(record.upload);
      } catch {
        continue; // the server is not there now: the next visit will see
      }
      if (found && !found.order) {
        show(found);
        return;
      }
      await forget(record.upload); // deleted, expired, or placed just before the page was left
    }
    record = null;
  }

  function show(found) {
    element("unfinished-text").textContent = translate("unfinished_text", {
      n: record.files.length,
      sent: formatSize(found.offset),
      size: formatSize(found.size),
    });
    element("unfinished-go-on").hidden = !record.sources?.length;
    card.hidden = false;
    card.scrollIntoView({ block: "center" }); // a reload has scrolled to where the page was
  }
}
