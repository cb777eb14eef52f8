/** What a page with a graph has of its own. Neither may have what a policy or a parser would trip over. */

export const STYLE = `
html, body { margin: 0; height: 100%; font: 14px/1.4 sans-serif; color: #111; background: #fff; }
main, main > svg { display: block; width: 100%; height: 100%; }
main > svg { cursor: grab; touch-action: none; }
main > svg a:focus-visible { outline: 2px solid #0072b2; }
nav { position: fixed; left: 12px; bottom: 12px; display: flex; gap: 4px; }
nav button { min-width: 34px; height: 34px; font-size: 16px; border: 1px solid #777; border-radius: 4px; background: #fff; }
section { display: none; position: fixed; top: 0; right: 0; box-sizing: border-box; width: min(440px, 100%); max-height: 100%; overflow: auto; padding: 12px 16px; background: #fff; border: 1px solid #777; }
section:target { display: block; }
section h2 { font-size: 16px; margin: 0 24px 8px 0; overflow-wrap: anywhere; }
section .close { float: right; font-size: 22px; line-height: 1; text-decoration: none; color: #111; }
th { text-align: left; vertical-align: top; font-weight: normal; color: #555; padding: 2px 12px 2px 0; }
td { overflow-wrap: anywhere; }
@media print { nav, section { display: none; } }
`;

/** Moves and scales the drawing by what of it is in view. */
export const SCRIPT = `
'use strict';
const svg = document.querySelector('main > svg');
const whole = svg.viewBox.baseVal;
const all = [0, 0, whole.width, whole.height];
let view = all;
const show = (next) => { view = next; svg.setAttribute('viewBox', view.join(' ')); };
const scale = () => Math.min(svg.clientWidth / view[2], svg.clientHeight / view[3]);
const at = (x, y) => {
  const point = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
  return [point.x, point.y];
};
const zoom = (factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) => {
  const width = Math.min(Math.max(view[2] * factor, all[2] / 500), all[2] * 4);
  const by = width / view[2];
  const [px, py] = at(x, y);
  show([px - (px - view[0]) * by, py - (py - view[1]) * by, width, view[3] * by]);
};
const move = (dx, dy) => show([view[0] - dx / scale(), view[1] - dy / scale(), view[2], view[3]]);
const pointers = new Map();
let moved = 0;
svg.addEventListener('wheel', (event) => {
  event.preventDefault();
  zoom(Math.exp(Math.max(-100, Math.min(100, event.deltaY)) / 300), event.clientX, event.clientY);
}, { passive: false });
svg.addEventListener('pointerdown', (event) => {
  pointers.set(event.pointerId, event);
  if (pointers.size === 1) moved = 0;
});
addEventListener('pointermove', (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
  moved += Math.abs(dx) + Math.abs(dy);
  const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
  if (other) {
    const span = (from) => Math.hypot(from.clientX - other.clientX, from.clientY - other.clientY) || 1;
    zoom(span(before) / span(event), other.clientX, other.clientY);
  } else move(dx, dy);
  pointers.set(event.pointerId, event);
});
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, ({ pointerId }) => pointers.delete(pointerId));
svg.addEventListener('dragstart', (event) => event.preventDefault());
svg.addEventListener('click', (event) => { if (moved > 5) event.preventDefault(); }, true);
const fit = () => show(all);
document.getElementById('in').addEventListener('click', () => zoom(0.7));
document.getElementById('out').addEventListener('click', () => zoom(1 / 0.7));
document.getElementById('fit').addEventListener('click', fit);
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    '+': () => zoom(0.7), '=': () => zoom(0.7), '-': () => zoom(1 / 0.7), '0': fit,
    ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
    Escape: () => { location.hash = ''; },
  };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
`;
