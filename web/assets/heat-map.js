// Where the model sees a label: a canvas to lay over the photo.

const COLOUR = [224, 0, 138];
const STRONGEST = 150; // opacity of the strongest cell, of 255

/**
 * A canvas of the photo's size. `activation` is a grid over the photo, in logits. A positive cell
 * speaks for `label`: the stronger, the less transparent.
 */
export function heatMap({ label, activation }, width, height) {
  const values = activation.flat();
  const most = Math.max(Number.MIN_VALUE, ...values);
  const cells = new ImageData(activation[0].length, activation.length);
  values.forEach((value, at) => cells.data.set([...COLOUR, STRONGEST * Math.max(0, value) / most], 4 * at));
  const grid = canvasOf(cells.width, cells.height);
  grid.getContext("2d").putImageData(cells, 0, 0);
  const canvas = canvasOf(width, height);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Where the model sees ${label}`);
  canvas.getContext("2d").drawImage(grid, 0, 0, width, height);
  return canvas;
}

function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
