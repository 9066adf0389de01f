// @ts-check
/** Runs before anything is drawn, so that a page chosen dark never flashes light. Not a module: those come later. */
document.documentElement.dataset.theme = localStorage.getItem("parley.theme") ?? "auto";
