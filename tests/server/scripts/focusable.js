// Counts what can be used on a page; `focusNow()` then tells which of them has the focus, and whether that is to be seen.
() => {
  const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")];
  const stops = all.filter((element) => element.tabIndex >= 0); // cells of a map are reached by the arrow keys
  const usable = stops.filter((element) => element.checkVisibility() || element.closest("svg")?.checkVisibility());
  const shown = usable.filter((element) => {
    const closed = element.closest("details:not([open])");
    return !closed || element.parentElement === closed;
  });
  window.focusNow = () => {
    const now = document.activeElement;
    const place = shown.indexOf(now);
    const style = getComputedStyle(now);
    const box = now.getBoundingClientRect();
    const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    const isOnScreen = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    return [place < 0 ? null : place, isOutlined && isOnScreen];
  };
  return shown.length;
}
