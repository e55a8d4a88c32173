/** Smaller copies of photos, made by the browser: for the gallery, and of those that the service would refuse. */
import {facts} from "./facts.js";

const SMALLEST = 96;

/**
 * A copy whose longer side has `longest` pixels at most, upright, over white, as a JPEG.
 *
 * @returns {Promise<{blob: Blob, width: number, height: number}>} the copy, and the size of the whole photo.
 * @throws {Error} the browser cannot decode it.
 */
export async function shrink(blob, longest) {
  const bitmap = await createImageBitmap(blob, {imageOrientation: "from-image"});
  const {width, height} = bitmap;
  const ratio = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const copy = await new Promise(resolve => {
    canvas.toBlob(resolve, "image/jpeg", 0.9);
  });
  return {blob: copy, width, height};
}

/**
 * The photo itself if it is within the limits, or a copy that is.
 *
 * @param {{blob: Blob, width: number, height: number}} photo
 * @param {number} bytes the most that it may have
 */
export async function fitting(photo, bytes) {
  const most = 1e6 * facts.limits.megapixels;
  if (photo.blob.size <= bytes && photo.width * photo.height <= most) return photo.blob;
  let longest = Math.min(2048, Math.max(photo.width, photo.height), Math.sqrt(most));
  for (; longest >= SMALLEST; longest *= 0.7) {
    const {blob} = await shrink(photo.blob, longest).catch(() => ({blob: photo.blob}));
    if (blob.size <= bytes || blob === photo.blob) return blob;
  }
  return photo.blob;
}
