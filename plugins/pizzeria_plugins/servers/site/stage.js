/** One photo, large, with what was found drawn over it. */
import {html, nothing} from "./lit-html.js";
import {colour, latency, percent, size} from "./format.js";
import {fault} from "./notes.js";

/**
 * @param {import("./photos.js").Photo} photo
 * @param {{box: object, name: string, dim: boolean}[]} boxes in pixels of `frame`
 * @param {{width: number, height: number}} frame the photo's size as the boxes count it
 * @param {object} over drawn over the photo, below the boxes
 * @param {object} said after the photo's name
 */
export const stage = ({photo, boxes = [], frame = photo, over = nothing, said = nothing}) => html`
  <figure class="stage">
    <div class="frame ${photo.thumbnail || !photo.prepared ? "" : "blank"}" .style=${`--ratio: ${ratio(photo)}`}>
      ${photo.thumbnail || !photo.prepared ? html`<img src=${photo.url} alt=${photo.name}>` : nothing}
      ${over}
      ${[...boxes].reverse().map(
        ({box, name, dim}) => html`
        <div class="box ${dim ? "dim" : ""}" data-class=${name} .style=${placed(box, frame, name)}>
          <span class=${where(box, frame)}>${name} <b>${percent(box.confidence)}</b></span>
        </div>`,
      )}
      ${fault(photo.fault)}
    </div>
    <figcaption>
      <strong>${photo.name}</strong>
      ${photo.width ? html`<span>${photo.width} × ${photo.height}</span>` : nothing}
      ${photo.time ? html`<span class="latency">answered in ${latency(photo.time)}</span>` : nothing}
      ${photo.sent ? html`<span>sent smaller, ${size(photo.sent)}</span>` : nothing}
      ${photo.state === "asking" ? html`<span>asking …</span>` : nothing}
      ${said}
    </figcaption>
  </figure>`;

/** Where a label goes that would leave the photo above its box, or to the right. */
const where = (box, {width, height}) =>
  `${box.y_min < 0.07 * height ? "inside" : ""} ${box.x_min > 0.7 * width ? "end" : ""}`;

const ratio = photo => (photo.width ? photo.width / photo.height : 4 / 3);

function placed(box, {width, height}, name) {
  const [left, top] = [(100 * box.x_min) / width, (100 * box.y_min) / height];
  const [wide, high] = [(100 * (box.x_max - box.x_min)) / width, (100 * (box.y_max - box.y_min)) / height];
  return `left: ${left}%; top: ${top}%; width: ${wide}%; height: ${high}%; --colour: ${colour(name)}`;
}
