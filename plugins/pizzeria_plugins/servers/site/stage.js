/** One photo, large, with what was found drawn over it. */
import {html, nothing} from "./lit-html.js";
import {colour, latency, percent, size} from "./format.js";
import {icons} from "./icons.js";

/**
 * @param {import("./photos.js").Photo} photo
 * @param {{box: object, name: string, dim: boolean}[]} boxes in pixels of `frame`
 * @param {{width: number, height: number}} frame the photo's size as the boxes count it
 * @param {object} over drawn over the photo, below the boxes
 * @param {object} said after the photo's name
 */
export const stage = ({photo, boxes = [], frame = photo, over = nothing, said = nothing}) => html`
  <figure class="stage">
    ${photo.state === "refused" && !photo.thumbnail ? nothing : html`
      <div class="frame" .style=${`--ratio: ${ratio(photo)}`}>
        <img src=${photo.url} alt=${photo.name} class=${photo.thumbnail || !photo.prepared ? "" : "unseen"}>
        ${over}
        ${[...boxes].reverse().map(({box, name, dim}) => html`
          <div class="box ${dim ? "dim" : ""}" data-class=${name} .style=${placed(box, frame, name)}>
            <span class=${box.y_min < 0.07 * frame.height ? "inside" : ""}>${name} ${percent(box.confidence)}</span>
          </div>`)}
      </div>`}
    <figcaption>
      <strong>${photo.name}</strong>
      ${photo.width ? html`<span>${photo.width} × ${photo.height}</span>` : nothing}
      ${photo.time ? html`<span class="latency">answered in ${latency(photo.time)}</span>` : nothing}
      ${photo.sent ? html`<span>sent smaller, ${size(photo.sent)}</span>` : nothing}
      ${photo.state === "asking" ? html`<span>asking …</span>` : nothing}
      ${said}
    </figcaption>
    ${photo.fault ? html`<p class="note fault">${icons.fault} <span>${photo.fault}</span></p>` : nothing}
  </figure>`;

const ratio = photo => (photo.width ? photo.width / photo.height : 4 / 3);

function placed(box, {width, height}, name) {
  const [left, top] = [100 * box.x_min / width, 100 * box.y_min / height];
  const [wide, high] = [100 * (box.x_max - box.x_min) / width, 100 * (box.y_max - box.y_min) / height];
  return `left: ${left}%; top: ${top}%; width: ${wide}%; height: ${high}%; --colour: ${colour(name)}`;
}
