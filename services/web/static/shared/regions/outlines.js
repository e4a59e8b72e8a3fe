// Elements that show a region over a picture: a box, or the region's form drawn into the box around it.

import { bounds } from "./shapes.js";

const SVG = "http://www.w3.org/2000/svg";
const percent = (share) => `${share * 100}%`;

// Returns a focusable element for a region; `place` gives it its position.
export function makeOutline(className, region) {
  // Not a button element, in which some browsers give no events to the lines of a drawing.
  const element = document.createElement("div");
  element.className = `${className} ${region.shape}`;
  element.tabIndex = 0;
  element.setAttribute("role", "button");
  return element;
}

export function place(element, region, size) {
  const box = bounds(region, size);
  for (const side of ["left", "top", "width", "height"]) element.style[side] = percent(box[side]);
  if (region.shape !== "polygon" && region.shape !== "brush") return;
  const drawing = element.querySelector("svg") ?? element.appendChild(document.createElementNS(SVG, "svg"));
  const view = [box.left * size.width, box.top * size.height, box.width * size.width, box.height * size.height];
  drawing.setAttribute("viewBox", view.join(" "));
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const lines = region.shape === "polygon" ? [{ points: region.points }] : region.strokes;
  drawing.replaceChildren(
    ...lines.flatMap(({ points, width }) => {
      const name = width ? "polyline" : "polygon";
      // Twice: a light line on a dark one can be seen on everything.
      return ["under", "over"].map((layer) => {
        const line = document.createElementNS(SVG, name);
        // A line without length has no round ends.
        const corners = points.length > 1 ? points : [points[0], points[0]];
        line.setAttribute("points", corners.map(([x, y]) => `${x * size.width},${y * size.height}`).join(" "));
        line.setAttribute("class", `${layer}${width ? " stroke" : ""}`);
        if (width) line.setAttribute("stroke-width", width * Math.min(size.width, size.height));
        return line;
      });
    }),
  );
}

// Returns the line that a pointer draws, as a drawing over all of the picture; `update` it with its points.
export function makeDraft() {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "draft");
  drawing.setAttribute("aria-hidden", "true");
  const lines = ["under", "over"].map((layer) => {
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("class", layer);
    return drawing.appendChild(line);
  });
  return {
    element: drawing,
    update(points, size, width = 0) {
      drawing.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
      drawing.setAttribute("preserveAspectRatio", "none");
      for (const line of lines) {
        line.setAttribute("points", points.map(([x, y]) => `${x * size.width},${y * size.height}`).join(" "));
        line.classList.toggle("stroke", width > 0);
        if (width) line.setAttribute("stroke-width", width * Math.min(size.width, size.height));
      }
    },
  };
}
