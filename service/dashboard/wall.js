// The wall: tiles as large as the screen allows, so that names can be read from the other side of the room.
//
// Of all numbers of columns the one is taken that gives the largest type, measured with the names that have to fit.

const LINE = 1.4; // height of a tile in ems
const AROUND = 2.2; // what a tile has beside its name, in ems: the mark and the gaps
const HEAD = 2; // tiles that a group's name takes
const SMALLEST = 13;
const SQUEEZED = 0.6; // of the usual size, for a long name, at least
const LARGEST = 0.1; // of the height of the window: more than that only makes the wall look empty
const ROOM_FOR_MORE = 30; // pixels of type from which a tile has a second line

let context = null;

/** How wide each name is, in ems. */
function widths(names, family) {
  context ??= document.createElement("canvas").getContext("2d");
  context.font = `600 100px ${family}`;
  context.fontStretch = "semi-condensed"; // as in wall.css; a browser without it measures a little wider
  return new Map(names.map((name) => [name, context.measureText(name).width / 100]));
}

/** Rows that groups of so many tiles take, each after a name of HEAD tiles; there are at least so many columns. */
function rowsFor(groups, columns) {
  let rows = 1;
  let at = 0;
  for (const tiles of groups) {
    if (at + HEAD > columns) {
      rows += 1;
      at = 0;
    }
    const end = at + HEAD + tiles;
    rows += Math.max(0, Math.ceil(end / columns) - 1);
    at = end % columns || columns;
  }
  return rows;
}

/** Columns and the size of the type, in pixels, in a space of so many pixels. `line`: height of a tile in ems. */
function best(groups, space, gap, nameWidth, line) {
  let found = { columns: HEAD, size: 0, tall: 0 };
  for (let columns = HEAD; columns <= 40; columns += 1) {
    const rows = rowsFor(groups, columns);
    const tall = (space.height - gap * (rows - 1)) / rows;
    const wide = (space.width - gap * (columns - 1)) / columns;
    const size = Math.min(tall / line, wide / (nameWidth + AROUND), innerHeight * LARGEST);
    if (size > found.size) found = { columns, size, tall };
  }
  return found;
}

/** Lay out the board as a wall in what is left of the window below its upper edge. */
export function fit(root, board) {
  const shown = [...board.groups.values()];
  const groups = shown.map((group) => group.keys.length);
  const tiles = groups.reduce((sum, number) => sum + number, 0);
  if (!tiles) return;
  const box = root.getBoundingClientRect();
  const strip = root.parentElement.querySelector(":scope > #trends")?.offsetHeight ?? 0;
  const space = { width: root.clientWidth, height: Math.max(200, innerHeight - (box.top + scrollY) - (strip ? strip + 16 : 12)) };
  const gap = tiles > 120 ? 4 : 6;
  const names = shown.flatMap((group) => [...(board.names?.get(group)?.values() ?? [])]); // rows may not be made yet
  const measured = widths(names.length ? names : ["Somebody"], getComputedStyle(root).fontFamily);
  const sorted = [...measured.values()].sort((one, other) => one - other);
  const usual = sorted[Math.floor((sorted.length - 1) * 0.98)];
  // The few longest have smaller letters: what tells people apart is at the end of the name, and must not be cut off.
  board.squeeze(new Map([...measured].filter(([, wide]) => wide > usual).map(([name, wide]) => [name, Math.max(SQUEEZED, usual / wide)])));
  const two = best(groups, space, gap, usual, 2.5);
  const more = two.size >= ROOM_FOR_MORE;
  const { columns, size: wanted, tall } = more ? two : best(groups, space, gap, usual, LINE);
  const size = Math.max(SMALLEST, wanted);
  const height = Math.max(size * (more ? 2.2 : 1.3), Math.min(Math.floor(tall), size * (more ? 3.2 : 2.2)));
  root.style.setProperty("--columns", columns);
  root.style.setProperty("--type", `${size.toFixed(1)}px`);
  root.style.setProperty("--tall", `${height.toFixed(1)}px`);
  root.style.setProperty("--tile-gap", `${gap}px`);
  root.toggleAttribute("data-more", more);
}
