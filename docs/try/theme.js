// The colours that were chosen on the site's other pages, if any; otherwise those of the system.
try {
  const site = new URL("..", location.href).pathname;
  const chosen = JSON.parse(localStorage.getItem(`${site}.__palette`))?.color;
  if (chosen && (chosen.media || "").includes("prefers-color-scheme")) {
    document.documentElement.dataset.theme = chosen.scheme === "slate" ? "dark" : "light";
  }
} catch {
  // storage is closed to this page
}
