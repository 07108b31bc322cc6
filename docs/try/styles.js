// The styles to choose from, each shown on the reader's own picture.

const SIDE = 96; // of a thumbnail, in pixels

export class Styles {
  all = []; // {name or file, label, code, thumbnail}
  #group = document.getElementById("styles");
  #onPick;

  constructor(onPick) {
    this.#onPick = onPick;
  }

  /** Add a style at the end; returns its place. */
  add(style) {
    const place = this.all.push({ ...style, thumbnail: null }) - 1;
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    const label = Object.assign(document.createElement("span"), { textContent: style.label });
    tile.append(canvas, label);
    tile.title = style.name ?? style.file;
    tile.addEventListener("click", () => this.#onPick(place));
    this.#group.append(tile);
    return place;
  }

  /** Mark those that the pad holds, and the one that shows alone, if one does. */
  mark(corners, alone) {
    [...this.#group.children].forEach((tile, place) => {
      tile.classList.toggle("held", corners.includes(place));
      tile.setAttribute("aria-pressed", String(place === alone));
    });
  }

  /**
   * Make thumbnails one after the other, of all or from a place on. make(code) gives ImageData, or
   * null where it no longer matters; done() hears of each.
   */
  async draw(make, done, from = 0) {
    for (const [place, style] of this.all.entries()) {
      if (place < from) continue;
      const thumbnail = await make(style.code);
      if (!thumbnail) return;
      style.thumbnail = thumbnail;
      const canvas = this.#group.children[place].querySelector("canvas");
      canvas.width = thumbnail.width;
      canvas.height = thumbnail.height;
      canvas.getContext("2d").putImageData(thumbnail, 0, 0);
      done();
    }
  }
}

Styles.SIDE = SIDE;
