/** The map of an explanation, drawn over the photo: clear where nothing matters, glowing where most does. */
const drawnMaps = new WeakMap();

/** @param {{image: string}} explanation base64 of an 8-bit grey PNG, 255 where it matters most */
export function heat(explanation, opacity) {
  let canvas = drawnMaps.get(explanation);
  if (!canvas) {
    canvas = document.createElement("canvas");
    canvas.className = "heat";
    canvas.width = 0; // until there is something on it
    drawnMaps.set(explanation, canvas);
    void draw(canvas, explanation.image);
  }
  canvas.style.opacity = opacity;
  return canvas;
}

async function draw(canvas, base64) {
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.drawImage(image, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(glow(pixels.data[at] / 255), at);
  pen.putImageData(pixels, 0, 0);
}

/** From a dark, cool veil over warm red to bright yellow; squared, so that the middle stays calm. */
function glow(share) {
  const weight = share * share;
  const red = Math.min(1, 0.15 + 1.9 * weight),
    green = Math.max(0, 1.7 * weight - 0.7),
    blue = Math.max(0, 0.35 - weight);
  return [255 * red, 255 * green, 255 * blue, 255 * (0.75 - 0.35 * weight)];
}
