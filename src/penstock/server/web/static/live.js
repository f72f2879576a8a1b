// Open pages stay current: when the server says that something changed, the page's <main> is fetched and morphed,
// so that focus, selection, scroll and opened details stay as they are.
(() => {
  const pulse = document.getElementById("pulse");
  const label = document.getElementById("pulse-label");
  const show = (on) => {
    pulse?.classList.toggle("on", on);
    if (label) label.textContent = on ? "live" : "waiting for the server";
  };
  htmx.config.morphIgnore.push("open"); // which <details> are open is the reader's choice, and not in the fetched page
  let busy = false;
  let again = false;
  const refresh = async () => {
    // A table that was scrolled holds more rows than its page: it stays, and says that it may be read again.
    if (document.querySelectorAll("tbody.rows").length > 1) {
      document.getElementById("changed").hidden = false;
      return;
    }
    if (busy) { again = true; return; }
    busy = true;
    try {
      await htmx.ajax("GET", location.href, { target: "main", select: "main", swap: "outerMorph" });
    } finally {
      busy = false;
      if (again) { again = false; setTimeout(refresh, 500); }
    }
  };
  const source = new EventSource(`/live?seen=${document.documentElement.dataset.shows}`);
  source.onopen = () => show(true);
  source.onerror = () => show(false);
  source.addEventListener("change", refresh);
})();
